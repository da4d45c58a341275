"""Torchvision, whichever build of it is installed.

Beside a CPU build of torch, PyPI's torchvision, which is built for CUDA, cannot load its compiled operators, and then
not even its Python part imports: it describes two operators that are not there. Once they are declared, transforms and
data sets work; none of them calls these two.
"""

import importlib
import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_OPERATORS = ("nms", "qnms")
_torch: Any = torch  # what is used of it here has no types


@cache
def transforms() -> ModuleType:
    """``torchvision.transforms.v2``."""
    declare_missing_operators()
    return importlib.import_module("torchvision.transforms.v2")


@cache
def datasets() -> ModuleType:
    """``torchvision.datasets``."""
    declare_missing_operators()
    return importlib.import_module("torchvision.datasets")


@cache
def declare_missing_operators() -> torch.library.Library | None:
    """Makes ``import torchvision`` work; the declarations, or None if none were missing. They stay for good."""
    spec = importlib.util.find_spec("torchvision")
    folders = (spec.submodule_search_locations if spec else None) or []
    try:
        for library in (found for folder in folders for found in Path(folder).glob("_C.*")):
            _torch.ops.load_library(str(library))
    except OSError:
        declared: torch.library.Library = _torch.library.Library("torchvision", "FRAGMENT")
        for name in _OPERATORS:
            _torch.library.Library.define(
                declared, f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        return declared
    return None
