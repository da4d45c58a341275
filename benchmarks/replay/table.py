"""The recorded learning curves, ``NAME.parquet``, and beside each table the space that they are of, ``NAME.yaml``."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ndvq_tune.search.space import SearchSpace

FOLDER = Path("benchmarks/replay")
DATA = ("video3d", "image2d", "signal1d")
NOISE = 0.033  # between seeds, where a table has none: the mean of four configurations with three seeds each


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

    @cached_property
    def losses(self) -> tuple[float, ...]:
        """The recon_loss of each report."""
        return tuple(report["recon_loss"] for report in self.reports)

    @property
    def final(self) -> float:
        """The last loss."""
        return self.losses[-1]

    @property
    def lowest(self) -> float:
        """The lowest loss of all."""
        return min(self.losses)

    def with_noise(self, factor: float) -> "Curve":
        """The same training with another seed: each recon_loss times a factor."""
        reports = tuple({**report, "recon_loss": factor * report["recon_loss"]} for report in self.reports)
        return replace(self, reports=reports)


def load_curves(data: str) -> tuple[Curve, ...]:
    """All curves of a table, by number; of configurations that were trained with several seeds the first one."""
    rows = _rows(data)
    return tuple(_curve(int(str(number)), group) for number, group in rows[rows["seed"] == 0].groupby("number"))


def noise_of(data: str) -> float:
    """Standard deviation of the logarithm of the final loss between seeds of the median configuration.

    A training that fails with one seed in five, as some do, is not what the others differ by.
    """
    rows = _rows(data)
    final = np.log(rows[rows["epoch"] == rows["epoch"].max()].set_index("number")["recon_loss"])
    deviation = float(final.groupby("number").std().median())
    return NOISE if math.isnan(deviation) else deviation


def recorded() -> list[str]:
    """The tables that there are."""
    return [data for data in DATA if (FOLDER / f"{data}.parquet").exists()]


def load_space(data: str, *overrides: str) -> SearchSpace:
    """The space that the configurations were drawn from, with changes."""
    return SearchSpace.load(FOLDER / f"{data}.yaml", overrides)


def _rows(data: str) -> pd.DataFrame:
    rows = pd.read_parquet(FOLDER / f"{data}.parquet")
    return rows.assign(seed=rows.get("seed", 0)).sort_values(["number", "seed", "epoch"])


def _curve(number: int, rows: pd.DataFrame) -> Curve:
    measured = rows.drop(columns=["number", "seed", "params", "seconds"]).to_dict("records")
    reports = tuple({str(name): float(value) for name, value in row.items()} for row in measured)
    return Curve(number, json.loads(rows["params"].iloc[0]), tuple(rows["seconds"].astype(float)), reports)
