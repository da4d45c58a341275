"""Trials of earlier searches, without any training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ndvq_tune.records import TrialRecord, TrialState
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.folder import write_space
from ndvq_tune.search.space import SearchSpace
from tests.search.search_examples import report

POINT: dict[str, Any] = {
    "model.n_codes": 16,
    "model.downsample": [2, 2, 2],
    "model.codebook_beta": 0.5,
    "model.attention.type": "none",
}


def trial_of(
    space: SearchSpace, number: int = 0, loss: float = 0.5, epochs: int = 1, metrics: Mapping[str, float] | None = None,
    **changes: Any,
) -> TrialRecord:  # fmt: skip
    """A finished trial at ``POINT``, as far as it is in the space; ``changes`` are fields of the record.

    ``params`` are added to those of the point.
    """
    wanted = POINT | changes.pop("params", {})
    params: dict[str, Any] = {}
    for parameter in space.searched:
        if parameter.key in wanted and space.active(parameter, params):
            params[parameter.key] = wanted[parameter.key]
    reports = tuple(report(epoch, loss, **{"fidelity": 1.0, **(metrics or {})}) for epoch in range(1, epochs + 1))
    return TrialRecord(
        number=number,
        params=params,
        config=space.complete(params),
        **{"state": TrialState.COMPLETED, "reports": reports} | changes,
    )


def write_results(
    folder: Path,
    space: SearchSpace,
    points: Sequence[Mapping[str, Any]],
    losses: Sequence[float],
    curve: Sequence[float] = (),
) -> None:
    """The folder of a search whose trials are all done.

    Args:
        folder: Where.
        space: What it searched.
        points: Parameters of the trials.
        losses: Their last loss.
        curve: How many times that their loss was after each epoch, down to 1; their weights are kept then. A report,
            and no weights, if not given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_space(folder, space)
    study = Study.open(folder, space)
    for params, loss in zip(points, losses, strict=True):
        record = study.begin(study.propose(params))
        for epoch, share in enumerate(curve or (1.0,), start=1):
            study.report(record.number, report(epoch, loss * share, fidelity=1.0))
        if curve:
            kept = folder / "checkpoints" / record.name
            kept.mkdir(parents=True)
            (kept / "config.json").write_text('{"format": 1}')
            study.checkpoint(record.number, f"checkpoints/{record.name}")
        study.finish(record.number, TrialState.COMPLETED)
    study.close()
