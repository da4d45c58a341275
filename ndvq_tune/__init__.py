"""Hyperparameter tuning for N-dimensional VQ-VAEs on Ray.

The public names are loaded when they are used, so that a tokenizer can be loaded without Ray, Optuna and MLflow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ndvq_tune.config import RunConfig
    from ndvq_tune.model import NDimVQVAE
    from ndvq_tune.search.api import search
    from ndvq_tune.search.outcome import SearchResult
    from ndvq_tune.search.space import SearchSpace
    from ndvq_tune.tokens.dataset import TokenDataset
    from ndvq_tune.tokens.models import load_model

__all__ = ["NDimVQVAE", "RunConfig", "SearchResult", "SearchSpace", "TokenDataset", "load_model", "search"]

_HOMES = {
    "NDimVQVAE": "ndvq_tune.model",
    "RunConfig": "ndvq_tune.config",
    "SearchResult": "ndvq_tune.search.outcome",
    "SearchSpace": "ndvq_tune.search.space.space",
    "TokenDataset": "ndvq_tune.tokens.dataset",
    "load_model": "ndvq_tune.tokens.models",
}


def __getattr__(name: str) -> Any:
    if name == "search":  # the room itself, which can be called
        return import_module("ndvq_tune.search")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
