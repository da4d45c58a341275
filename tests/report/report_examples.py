"""Searches to report on: an invented one of some size, and the smallest ones."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ndvq_tune.config import RunConfig
from ndvq_tune.diagnosis.finding import Change, Confidence, Diagnosis, Evidence, Finding, Start, Verdict
from ndvq_tune.distributions import Choice, Range, Searched
from ndvq_tune.goals import Constraint, Goals, Objective
from ndvq_tune.metrics import Mode
from ndvq_tune.records import Importance, Rescue, Role, SearchRecord, StopReason, TrialRecord, TrialState

OBJECTIVES = Goals((Objective("recon_loss", "min"), Objective("bits_per_element", "min")))


READY = Diagnosis(Verdict.READY, "nothing speaks against it")
UNFINISHED = Diagnosis(
    Verdict.UNFINISHED,
    "its loss still fell",
    (
        Finding(
            "still_falling",
            "its loss still fell",
            Evidence("fall of recon_loss", 0.151, 0.1, "trial-0003"),
            Confidence.MEDIUM,
            "train it for longer",
            Change({"training.max_epochs": 48}, Start.TRAIN),
            Verdict.UNFINISHED,
        ),
        Finding(
            "too_few_trials",
            "<few> trials",
            Evidence("trials", 4, 8),
            Confidence.HIGH,
            "take more",
            Change({}, Start.RESUME),
        ),
    ),
)
"""One verdict with its reason, and one finding beside it."""


PARAMETERS = (
    Searched("model.n_codes", Choice((256, 512, 1024, 2048))),
    Searched("model.embedding_dim", Choice((4, 8, 16, 32, 64))),
    Searched("model.codebook_beta", Range(0.05, 2.0)),
    Searched("model.ema_decay", Range(0.8, 0.999)),
    Searched("model.downsample", Choice(([2, 4, 4], [4, 4, 4], [4, 8, 8]))),
    Searched("model.attention.type", Choice(("none", "axial", "full"))),
    Searched("model.attention.n_head", Choice((1, 2, 4)), {"model.attention.type": ("axial", "full")}),
    Searched("training.learning_rate", Range(1e-4, 10**-2.5, log=True)),
)
"""What ``invented_trial`` draws from."""


def goals(*metrics: str, mode: Mode = "min", keep: Sequence[Constraint] = ()) -> Goals:
    """Objectives that all go the same way, and constraints."""
    return Goals(tuple(Objective(metric, mode) for metric in metrics), tuple(keep))


def make_trial(number: int = 0, metrics: dict[str, float] | None = None, **changes: Any) -> TrialRecord:
    reports = () if metrics is None else ({"epoch": 1, "seconds": 5.0, **metrics},)
    fields: dict[str, Any] = {
        "params": {"model.n_codes": 256},
        "config": RunConfig(),
        "state": TrialState.COMPLETED,
        "reports": reports,
        "checkpoint": f"checkpoints/trial-{number:04d}",
        "started": 1000.0,
        "ended": 1005.0,
    }
    return TrialRecord(number, **(fields | changes))


def invented_trial(number: int, rng: random.Random) -> TrialRecord:
    n_codes, downsample = rng.choice([256, 512, 1024, 2048]), rng.choice([[2, 4, 4], [4, 4, 4], [4, 8, 8]])
    attention = rng.choice(["none", "axial", "full"])
    params = {
        "model.n_codes": n_codes,
        "model.embedding_dim": rng.choice([4, 8, 16, 32, 64]),
        "model.codebook_beta": rng.uniform(0.05, 2),
        "model.ema_decay": rng.uniform(0.8, 0.999),
        "model.downsample": downsample,
        "model.attention.type": attention,
        **({} if attention == "none" else {"model.attention.n_head": rng.choice([1, 2, 4])}),
        "training.learning_rate": 10 ** rng.uniform(-4, -2.5),
    }
    bits = math.log2(n_codes) / math.prod(downsample)
    reason = rng.choice([None, None, StopReason.SCHEDULER, StopReason.SCHEDULER, StopReason.COLLAPSE])
    floor, speed = 0.02 / bits**0.6 * rng.uniform(0.8, 2), rng.uniform(0.2, 0.6)
    epochs = 12 if reason is None else rng.choice([2, 4, 6])
    usage = 0.03 if reason is StopReason.COLLAPSE else rng.uniform(0.4, 0.95)
    reports = []
    for epoch in range(1, epochs + 1):
        loss, alive = floor + math.exp(-speed * epoch), usage * (1 - math.exp(-epoch / 2))
        reports.append({
            "epoch": epoch,
            "seconds": 20.0 * number + 2 * epoch,
            "recon_loss": loss,
            "psnr": 12 - 10 * math.log10(loss),
            "perplexity": 1 + n_codes * alive * 0.7,
            "codebook_usage": alive,
            "bits_per_element": bits,
            "entropy_bits_per_element": bits * 0.9,
            "learning_rate": 1e-3,
            "parameters": 250_000.0,
        })  # fmt: skip
    state = TrialState.COMPLETED if reason is None else TrialState.PRUNED
    times = {"started": 1000.0 + 20 * number, "ended": 1000.0 + 20 * number + 2 * epochs}
    return make_trial(number, params=params, reports=tuple(reports), state=state, stop_reason=reason, **times)


def invented_search() -> SearchRecord:
    """Two dozen trials of every kind."""
    rng = random.Random(4)
    trials = [invented_trial(number, rng) for number in range(22)]
    lost = {"epoch": 1, "seconds": 460.0, "recon_loss": math.nan, "psnr": math.nan, "bits_per_element": 0.2}
    trials.append(
        make_trial(22, reports=(lost,), state=TrialState.PRUNED, stop_reason=StopReason.DIVERGED, checkpoint=None)
    )
    error = "Traceback (most recent call last):\n  ...\nRuntimeError: out of <memory>"
    trials.append(make_trial(23, state=TrialState.FAILED, error=error, checkpoint=None))
    bounded = replace(OBJECTIVES, constraints=(Constraint("codebook_usage", "at_least", 0.1),))
    return SearchRecord(
        "video3d", tuple(trials), bounded, PARAMETERS, seed=7, wall_seconds=312.4,
        skipped_files={"broken.mp4": "no video stream"},
    )  # fmt: skip


def eventful_search() -> SearchRecord:
    """The same search with all that can happen beside: small samples, a population, rescues, repetitions, a target."""
    search = invented_search()
    trials = [replace(trial, reports=staged(trial)) for trial in search.trials]
    trials[5] = replace(trials[5], reports=trials[5].reports[:3])
    for number, parent in ((12, 11), (21, 4)):
        trials[number] = replace(trials[number], role=Role.EXPLOIT, parent=parent)
    for number, rescues in (
        (4, ((2, "restart_codes"),)),
        (17, ((2, "restart_codes"), (4, "lower_beta"))),
        (21, ((1, "lower_beta"),)),
    ):
        trials[number] = replace(trials[number], rescues=tuple(Rescue(*rescue) for rescue in rescues))
    rng = random.Random(5)
    for parent in (16, 6, 20):
        for _ in range(3):
            trials.append(repetition(len(trials), trials[parent], rng.uniform(0.95, 1.15)))
    lost = {"state": TrialState.PRUNED, "stop_reason": StopReason.COLLAPSE, "reports": trials[-1].reports[:4]}
    trials[-1] = replace(trials[-1], **lost)
    rejected = {"memory": 6, "bits_per_element": 25}
    importances = (
        Importance("training.learning_rate", 0.41, 0.28, 0.54),
        Importance("model.embedding_dim", 0.2, 0.05, 0.35),
        Importance("model.attention.type", 0.06, 0.0, 0.19),
    )
    return replace(search, trials=tuple(trials), rejected=rejected, ended_by="until", importances=importances)


def staged(trial: TrialRecord) -> tuple[dict[str, float], ...]:
    """A trial's reports, the first three of them on smaller samples."""
    return tuple({**report, "fidelity": 0.25 if report["epoch"] <= 3 else 1.0} for report in trial.reports)


def repetition(number: int, trial: TrialRecord, luck: float) -> TrialRecord:
    """A trial once more, with a loss that is higher by a factor."""
    reports = tuple(
        {**report, "recon_loss": report["recon_loss"] * luck, "seconds": report["seconds"] + 600}
        for report in trial.reports
    )
    return replace(trial, number=number, reports=reports, role=Role.CONFIRM, parent=trial.number)
