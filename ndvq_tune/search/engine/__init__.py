"""What a search decides. No Ray: the same code runs in a replay."""

from ndvq_tune.search.engine.engine import Engine

__all__ = ["Engine"]
