"""What a compiled model calls as it is."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def untraced(function: Callable[P, T]) -> Callable[P, T]:
    """``torch.compiler.disable``, but at the call: as a decorator it imports the compiler with the model, for 2 s."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        result: T = torch.compiler.disable(function)(*args, **kwargs)  # type: ignore[no-untyped-call]
        return result

    return call
