"""The recorded learning curves, and the space that they are of."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ndvq_tune.search.space import SearchSpace

SPACE = Path("benchmarks/replay/video3d.yaml")
TABLE = Path("benchmarks/replay/video3d.parquet")


@dataclass(frozen=True)
class Curve:
    """One training, from the first epoch to the last.

    Attributes:
        number: The configuration's number in the table.
        params: What was chosen, by full key path.
        seconds: Time from the start of training to each report.
        reports: A report an epoch, oldest first.
    """

    number: int
    params: Mapping[str, Any]
    seconds: tuple[float, ...]
    reports: tuple[Mapping[str, float], ...]

    @property
    def bits(self) -> float:
        """Bits per element, which do not change while a model trains."""
        return self.reports[-1]["bits_per_element"]

    @property
    def final(self) -> float:
        """The last recon_loss."""
        return self.reports[-1]["recon_loss"]

    @cached_property
    def lowest(self) -> float:
        """The lowest recon_loss of all reports."""
        return min(report["recon_loss"] for report in self.reports)


def load_curves(path: Path = TABLE) -> tuple[Curve, ...]:
    """All curves of a table, by number."""
    rows = pd.read_parquet(path).sort_values(["number", "epoch"])
    return tuple(_curve(int(str(number)), group) for number, group in rows.groupby("number"))


def _curve(number: int, rows: pd.DataFrame) -> Curve:
    measured = rows.drop(columns=["number", "params", "seconds"]).to_dict("records")
    reports = tuple({str(name): float(value) for name, value in row.items()} for row in measured)
    return Curve(number, json.loads(rows["params"].iloc[0]), tuple(rows["seconds"].astype(float)), reports)


def load_space(*overrides: str) -> SearchSpace:
    """The space that the configurations were drawn from, with changes."""
    return SearchSpace.load(SPACE, overrides)
