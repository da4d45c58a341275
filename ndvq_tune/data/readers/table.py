"""Reads columns of numbers from csv files, and names the line that is wrong."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ndvq_tune.config.data import SignalData
from ndvq_tune.errors import DataError
from ndvq_tune.problems import nearest

CHUNK_CELLS = 1 << 18
ENCODING = "utf-8-sig"  # with or without a byte order mark
SHOWN_NAMES = 20

Row = list[str]


@dataclass(frozen=True)
class _Layout:
    """How a file is written.

    Attributes:
        delimiter: What separates cells.
        header: Rows before the first one of numbers.
        names: All columns, for messages.
        places: Which of them to read.
    """

    delimiter: str
    header: int
    names: list[str]
    places: list[int]


def read_table(path: Path, config: SignalData) -> Iterator[npt.NDArray[np.float32]]:
    """Reads a csv file: UTF-8, cells separated by comma, semicolon or tab, with decimal points.

    The first line is a header if columns are named in the configuration, or if it is not all numbers. Columns that
    are not asked for may hold anything.

    Args:
        path: The file.
        config: The names of the columns, in the order of the channels; without them all columns are read.

    Yields:
        Pieces of shape ``(n, C)``.

    Raises:
        DataError: It is not such a file, a column is not there, or a cell is not a finite float32.
    """
    import pandas as pd

    layout = _layout(path, config)
    columns = range(len(layout.names))
    try:
        with pd.read_csv(
            path,
            sep=layout.delimiter,
            encoding=ENCODING,
            skipinitialspace=True,
            # The only cell of a blank line is empty; where rows have more cells, it is no row.
            skip_blank_lines=len(columns) > 1,
            header=None,
            skiprows=layout.header,
            names=columns,
            index_col=False,
            # All columns are read, as pandas takes rows that are too long where it reads some.
            dtype={place: "float64" if place in layout.places else "str" for place in columns},
            chunksize=max(1, CHUNK_CELLS // max(1, len(columns))),
        ) as chunks:
            for chunk in chunks:
                yield _float32(chunk[layout.places].to_numpy())
    except pd.errors.EmptyDataError:
        return
    except ValueError as error:
        raise DataError(f"{path}: {_first_problem(path, layout) or error}") from error


def _float32(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        steps = values.astype(np.float32)
    if not np.isfinite(steps).all():
        raise ValueError("a value is missing, not finite, or too large for float32")
    return steps


def _layout(path: Path, config: SignalData) -> _Layout:
    delimiter = _delimiter(path)
    filled = ((index, row) for index, (_, row) in enumerate(_rows(path, delimiter)) if not _is_blank(row))
    index, first = next(filled, (0, []))
    if config.columns is None and all(map(_is_number, first)):
        names = [str(place + 1) for place in range(len(first))]
        return _Layout(delimiter, index, names, _places(path, names, config))
    names = [cell.strip() for cell in first]
    _, second = next(filled, (0, []))
    if len(second) > len(names):
        raise DataError(f"{path}: the header has {len(names)} cells, but the row after it {len(second)}")
    return _Layout(delimiter, index + 1, names, _places(path, names, config))


def _delimiter(path: Path) -> str:
    with path.open(encoding=ENCODING, errors="replace") as file:
        first_line = file.read(1 << 16).lstrip().partition("\n")[0]
    return next((mark for mark in "\t;" if mark in first_line), ",")


def _places(path: Path, names: list[str], config: SignalData) -> list[int]:
    if config.columns is not None:
        return [_place(path, name, names) for name in config.columns]
    if names and len(names) != config.n_channels:
        raise DataError(
            f"{path}: has {len(names)} columns ({_listed(names)}), but data.channels is {config.n_channels};"
            f" set data.channels: {len(names)}, or name some in data.columns, which needs a header"
        )
    return list(range(len(names)))


def _place(path: Path, name: str, names: list[str]) -> int:
    if names.count(name) > 1:
        raise DataError(f"{path}: {names.count(name)} columns are called {name!r}")
    if name not in names:
        raise DataError(f"{path}: has no column {name!r}, only {_listed(names)}{nearest(name, names)}")
    return names.index(name)


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:SHOWN_NAMES])) + ", ..." * (len(names) > SHOWN_NAMES)


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, Row]]:
    """All rows, and the line where each ends."""
    try:
        with path.open(encoding=ENCODING, newline="") as file:
            rows = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
            for row in rows:
                yield rows.line_num, row
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a readable csv file ({error})") from error


def _is_blank(row: Row) -> bool:
    return row in ([], [""])


def _first_problem(path: Path, layout: _Layout) -> str | None:
    """Looks for the line that pandas stumbled over, which it does not name."""
    for index, (line, row) in enumerate(_rows(path, layout.delimiter)):
        if index < layout.header or (_is_blank(row) and len(layout.names) > 1):
            continue
        if problem := _row_problem(row or [""], layout):
            return f"line {line}{problem}"
    return None


def _row_problem(row: Row, layout: _Layout) -> str | None:
    if not max(layout.places) < len(row) <= len(layout.names):
        return f" has {len(row)} cells instead of {len(layout.names)}"
    problems = ((layout.names[place], _cell_problem(row[place])) for place in layout.places)
    return next((f", column {name!r}: {problem}" for name, problem in problems if problem), None)


def _cell_problem(cell: str) -> str | None:
    if not cell.strip():
        return "the cell is empty"
    if not _is_number(cell):
        return f"{cell!r} is not a number" + (" (decimals need a point)" if _is_number(cell.replace(",", ".")) else "")
    with np.errstate(over="ignore"):
        fits = np.isfinite(np.float32(float(cell)))
    return None if fits else f"{cell!r} is not finite in float32"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
