"""Searches to diagnose, with curves that are made up."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ndvq_tune.config import RunConfig
from ndvq_tune.diagnosis.case import Asked, Case
from ndvq_tune.diagnosis.finding import Finding
from ndvq_tune.distributions import Choice, Range, Searched
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, SearchRecord, TrialRecord, TrialState
from ndvq_tune.yaml_file import with_values
from tests.report.report_examples import goals

EPOCHS = 24
LOSSES = tuple(0.05 + 0.5 * math.exp(-epoch / 2) for epoch in range(1, EPOCHS + 1))
"""A loss that comes down to 0.05 and stays there."""
SEARCHED = (
    Searched("model.codebook_beta", Range(0.05, 2.0, log=True)),
    Searched("model.ema_decay", Range(0.8, 0.99)),
    Searched("model.n_codes", Choice((128, 256, 512, 1024))),
    Searched("model.attention.type", Choice(("none", "axial", "full"))),
)
ASKED = Asked(SEARCHED, trials=16, startup_trials=8)


def trial_of(
    number: int = 0,
    losses: Sequence[float] = LOSSES,
    fitted: Sequence[float] | None = None,
    settings: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    curves: dict[str, Sequence[float]] | None = None,
    **changes: Any,
) -> TrialRecord:
    """A completed trial, healthy but for what is given.

    Args:
        number: Its number.
        losses: Its validation loss after each epoch.
        fitted: Its training loss; a little above that of validation if not given, as it is a mean over the epoch.
        settings: Settings of its configuration by full key path; ``params`` are among them.
        params: What the search has chosen.
        curves: Other metrics.
        changes: Fields of the record.
    """
    config = RunConfig.model_validate(
        with_values({}, {"training.max_epochs": EPOCHS, **(settings or {}), **(params or {})})
    )
    others = {
        "train_recon_loss": fitted or [1.05 * loss for loss in losses],
        "commitment_loss": [0.03 * loss for loss in losses],
        "perplexity": [0.6 * config.model.n_codes] * len(losses),
        "bits_per_element": [0.25] * len(losses),
        "samples_per_second": [100.0] * len(losses),
        **(curves or {}),
    }
    reports = tuple(
        {"epoch": epoch, "recon_loss": loss, **{name: values[epoch - 1] for name, values in others.items()}}
        for epoch, loss in enumerate(losses, start=1)
    )
    fields: dict[str, Any] = {
        "params": params or {},
        "config": config,
        "state": TrialState.COMPLETED,
        "reports": reports,
        "checkpoint": f"checkpoints/trial-{number:04d}",
        "sample_losses": tuple(losses[-1] * (0.9 + 0.02 * sample) for sample in range(11)),
    }
    return TrialRecord(number, **(fields | changes))


def search_of(*trials: TrialRecord, metrics: Sequence[str] = ("recon_loss",), **fields: Any) -> SearchRecord:
    return SearchRecord("search", trials, goals(*metrics), **fields)


def case_of(*trials: TrialRecord, asked: Asked = ASKED, **fields: Any) -> Case:
    return Case(Standing(search_of(*trials, **fields)), asked)


def spread(count: int = 16) -> list[TrialRecord]:
    """Trials whose loss has nothing to do with their settings: the best quarter has of everything."""
    betas, decays = (0.3, 0.06, 1.7, 0.15), (0.9, 0.985, 0.81, 0.95)
    trials = []
    for number in range(count):
        turn = number + number // 4
        params = {
            "model.codebook_beta": betas[turn % 4],
            "model.ema_decay": decays[(turn + number // 4) % 4],
            "model.n_codes": (128, 256, 512, 1024)[turn % 4],
            "model.attention.type": ("none", "axial", "none", "full")[turn % 4],
        }
        worse = [loss * (1 + 0.05 * number) for loss in LOSSES]
        trials.append(trial_of(number, worse, params=params))
    return trials


def only(found: Iterator[Finding]) -> Finding:
    """The one finding that there is."""
    (finding,) = found
    return finding


def repetition_of(trial: TrialRecord, number: int, losses: Sequence[float]) -> TrialRecord:
    return trial_of(number, losses, role=Role.CONFIRM, parent=trial.number)
