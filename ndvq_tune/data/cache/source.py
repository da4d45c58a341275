"""What a cache entry is made from: items, each decoded to an array of rows; and how such slow work is reported."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.generic]
"""A block of rows ``(n, *row)``, channels last."""

Progress = Callable[[str, int, int], None]
"""``progress(description, done, total)``: called as work goes on, ``done`` counting up to ``total``."""


def silent(*_: object) -> None:
    """A progress that shows nothing."""


@dataclass(frozen=True)
class Item:
    """What is decoded at once, usually a file.

    Attributes:
        name: Its path in the split's folder, or its number.
        size: Bytes to read, by which work is shared out evenly.
        content: A digest of what is in it.
        problem: Why it cannot be read, where that shows before it is opened.
        foreign: Whether it is of a kind that the source does not take: people are told of it, and that is all.
    """

    name: str
    size: int
    content: str
    problem: str | None = None
    foreign: bool = False


@dataclass(frozen=True)
class Content:
    """What is in an item.

    Attributes:
        blocks: Its rows, in blocks. Reading them raises ``DataError`` where the item cannot be used; some blocks may
            have come by then.
        rate: Rows a second as the item itself states them, whatever it is resampled to; None where it states none.
    """

    blocks: Iterator[Rows]
    rate: float | None = None


class Source(Protocol):
    """One split of a data set, before it is decoded. It can be pickled, and travels to where decoding happens."""

    @property
    def noun(self) -> str:
        """What its items are called: ``videos``."""
        ...

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """What the decoded rows depend on beside the items; values that JSON knows."""
        ...

    def items(self, progress: Progress = silent) -> Sequence[Item]:
        """All items, in an order that is always the same.

        Args:
            progress: Told of what has to be read for it.

        Raises:
            DataError: There are none, or they cannot be listed.
        """
        ...

    def read(self, item: Item) -> AbstractContextManager[Content]:
        """Opens one item.

        Raises:
            DataError: The item cannot be used.
            UnavailableError: No item can be judged now; the work is given up, and what was decoded is kept.
        """
        ...

    def mapped(self, item: Item) -> Rows | None:
        """The rows ``(length, *row)`` of an item mapped from its own file, if they need no decoding.

        Raises:
            DataError: The file is no longer what it was.
        """
        ...

    def path_of(self, item: Item) -> str:
        """Where an item is, for messages."""
        ...
