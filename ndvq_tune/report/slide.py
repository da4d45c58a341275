"""The search in one picture, for a slide and for MLflow."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ndvq_tune.judgement.front import history
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.metrics import METRICS
from ndvq_tune.pictures.chart import BLUE, GREY, PALE, RED, Axis, Point, Series, chart
from ndvq_tune.records import Role, TrialRecord, full_fidelity
from ndvq_tune.report.finding import finding, noun
from ndvq_tune.report.plots import time_unit

FRONT = "front.png"


def write_front(standing: Standing, folder: Path) -> Path | None:
    """Writes ``front.png``: the front over the first two objectives, or with one how its best value moved.

    Grey are all other trials that were measured on samples of full size; repetitions are left out.

    Args:
        standing: The search.
        folder: The results folder.

    Returns:
        Its path; None where no trial is recommended, and nothing is written.
    """
    if standing.best is None:
        return None
    names = standing.search.goals.metrics[:2]
    trials = [trial for trial in standing.search.trials if _drawn(trial, names)]
    x, y, series = (_front if len(names) > 1 else _progress)(standing, standing.best, trials)
    chart(standing.search.name, finding(standing), x, y, series, folder / FRONT)
    return folder / FRONT


def _front(standing: Standing, best: TrialRecord, trials: Sequence[TrialRecord]) -> tuple[Axis, Axis, list[Series]]:
    """The first objective over the second; with a third one the front is no line, as it is seen here."""
    first, second, *more = standing.search.goals.metrics
    numbers = {trial.number for trial in standing.front}
    beside = [trial for trial in trials if trial.number not in numbers]

    def points(some: Iterable[TrialRecord]) -> list[Point]:
        return [(trial.result[second], trial.result[first]) for trial in some]

    series = [
        Series("other trials", GREY, points(trial for trial in beside if standing.keeps(trial))),
        Series("break a constraint", PALE, points(trial for trial in beside if not standing.keeps(trial))),
        Series("front", RED, points(standing.front), "dots" if more else "joined"),
        Series(f"recommended: {best.name}", BLUE, points([best]), "rings"),
    ]
    return _axis(second, series, 0), _axis(first, series, 1), series


def _progress(standing: Standing, best: TrialRecord, trials: Sequence[TrialRecord]) -> tuple[Axis, Axis, list[Series]]:
    """The best value so far over time, among those that trials have reached."""
    (name,) = standing.search.goals.metrics
    longest = max(trial.result["seconds"] for trial in trials)
    size, unit = time_unit(longest)

    def points(some: Iterable[TrialRecord]) -> list[Point]:
        return [(trial.result["seconds"] / size, trial.result[name]) for trial in some]

    so_far = [(moment.seconds / size, moment.value) for moment in history(standing)]
    series = [
        Series("trials", GREY, points(trials)),
        Series("best so far", RED, so_far, "steps"),
        Series(f"recommended: {best.name}", BLUE, points([best]), "rings"),
    ]
    time = Axis(f"{unit} since the search began", 0, 1.05 * longest / size)
    return time, _axis(name, series, 1), series


def _drawn(trial: TrialRecord, names: Sequence[str]) -> bool:
    return trial.finite(*names) and full_fidelity(trial.result) and trial.role is not Role.CONFIRM


def _axis(metric: str, series: Sequence[Series], place: int) -> Axis:
    """The axis of an objective, which says which way is better."""
    known, name = METRICS[metric], noun(metric)
    unit = "" if known.unit == "1" or known.unit in name else f" ({known.unit})"
    better = {"min": ", lower is better", "max": ", higher is better"}.get(known.mode or "", "")
    return Axis.over(f"{name}{unit}{better}", [point[place] for one in series for point in one.points])
