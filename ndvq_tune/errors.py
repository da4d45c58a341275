"""The errors that a user can mend.

Every message says what was wrong, where, and what is allowed. The commands print it without a traceback and
exit with code 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class NdvqError(Exception):
    """Base of all errors that this package raises on purpose."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a configuration.

    Attributes:
        key: The key path, such as ``model.attention.n_head``; empty for the file as a whole.
        message: What is wrong and what is allowed.
        line: The line in the file, counted from 1, where it is known.
    """

    key: str
    message: str
    line: int | None = None


class ConfigError(NdvqError):
    """A configuration that cannot be run, with all of its problems at once.

    Args:
        source: The file, or what else the configuration came from.
        problems: At least one; each is a line of the message.

    Example:
        >>> print(ConfigError("space.yaml", [Problem("model.n_codes", "0 given; allowed: at least 2", line=7)]))
        space.yaml:7: model.n_codes: 0 given; allowed: at least 2
    """

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(self._line(problem) for problem in self.problems))

    def _line(self, problem: Problem) -> str:
        place = self.source if problem.line is None else f"{self.source}:{problem.line}"
        return ": ".join(part for part in (place, problem.key, problem.message) if part)


class DataError(NdvqError):
    """Data that is missing, unreadable, or does not fit the configuration."""


class UnavailableError(DataError):
    """Data that cannot be read now, though nothing is known to be wrong with it: a package or a storage is missing."""


class ShapeError(NdvqError, ValueError):
    """A tensor or a setting whose shape does not fit the model."""


class InputError(NdvqError, ValueError):
    """A tensor whose type or values a model cannot be meant to get."""


class CheckpointError(NdvqError):
    """A checkpoint that is missing, damaged, or belongs to another model."""


class ResultsError(NdvqError):
    """A results folder that cannot be used for this search."""


class TrackingError(NdvqError):
    """An MLflow store that cannot be used."""


class ClusterError(NdvqError):
    """A Ray cluster that cannot be reached, or that has too little for one trial."""


def message_of(error: BaseException) -> str:
    """What an error of another library says; its type if it says nothing."""
    return str(error).strip() or type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line of what an error of another library says, cut at 300 characters; its type if it says nothing."""
    return message_of(error).partition("\n")[0][:300]
