"""What a figure shows, in a sentence or two above it: made from the records, so that it cannot say anything else."""

import math

from ndvq_tune.diagnosis.case import curve
from ndvq_tune.diagnosis.convergence import STILL_FALLING
from ndvq_tune.diagnosis.trend import last, trend
from ndvq_tune.judgement.front import history, reference
from ndvq_tune.judgement.lineage import whole
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.quantities import count_text
from ndvq_tune.records import SearchRecord, TrialRecord, TrialState
from ndvq_tune.report.plots import DISTORTION, LOSSES, RATE, measured_in_full, rate_distortion_front
from ndvq_tune.report.wording import LEAST, label, mattered, metric_text

LATE = 4  # of the trials, the last one in so many
FEW = 5  # trials: that none of fewer was better says little


def rate_distortion_caption(search: SearchRecord) -> str:
    """How many trials are drawn, and from where to where the best of them go."""
    front = sorted(rate_distortion_front(search), key=lambda trial: trial.result[RATE])
    shown = count_text(len(measured_in_full(search)), "trial")
    text = f"{shown}: fewer bits to the left, better reconstructions below."
    match front:
        case [one]:
            return f"{text} Nothing beats {_place(one)}, in either."
        case [first, *_, end]:
            return f"{text} Nothing beats the {len(front)} on the line in both, from {_place(first)} to {_place(end)}."
    return text


def progress_caption(standing: Standing) -> str:
    """What is drawn, and what the last quarter of the trials brought.

    Args:
        standing: A search of which at least two trials have finished.
    """
    moments, (first, *others) = history(standing), standing.search.goals.metrics
    worst = ", ".join(f"{label(name)} {metric_text(name, value)}" for name, value in reference(standing).items())
    what = f"Hypervolume of the front, from the worst of all values ({worst})" if others else f"Best {label(first)}"
    late = -(-len(moments) // LATE)
    before, now = moments[-late - 1].value, moments[-1].value
    trials = f"The last {late} of {len(moments)} trials" if late > 1 else f"The last of {len(moments)} trials"
    if now == before:
        little = "more of them would find little" if late >= FEW else "so few say little"
        change = f"did not move it: {little}"
    elif others:
        change = f"brought {_percent((now - before) / now)} of it"
    else:
        change = f"took it from {metric_text(first, before)} to {metric_text(first, now)}"
    return f"{what}, after each trial that had finished. {trials} {change}."


def importance_caption(search: SearchRecord) -> str:
    """Which parameters surely mattered."""
    return mattered(search) or f"No parameter surely explains as much as {LEAST:.0%}."


def curves_caption(search: SearchRecord) -> str:
    """How many of the trials that came to their end were still getting better there, by the rule of the diagnosis."""
    ended = [whole(trial, search.trials) for trial in search.trials if trial.state is TrialState.COMPLETED]
    losses = [last(values, 1 / 3) for trial in ended if (values := curve(trial, DISTORTION))]
    trends = [found for late in losses if (found := trend(late)) is not None]
    if not trends:
        return "No trial has come to its end with epochs enough to see where its loss goes."
    falling = sum(found.falls(STILL_FALLING) for found in trends)
    shown = f"by {STILL_FALLING:.0%} or more over the last third of the epochs"
    return (
        f"Of {count_text(len(trends), 'trial')} that came to {'its' if len(trends) == 1 else 'their'} end, "
        f"{falling or 'none'} still got better there, {shown}."
    )


def fit_caption(standing: Standing) -> str:
    """How far the recommended trial's validation loss is from its training loss, and whether it has risen again."""
    best = standing.best
    validation, training = (best.metrics.get(name, math.nan) if best else math.nan for name in LOSSES)
    if best is None or not (validation > 0 and training > 0):  # NaN is not, either
        return ""
    how_far = _how_far(validation / training)
    text = (
        f"At the last epoch of {best.name} ({best.metrics['epoch']:.0f}) the validation loss is "
        f"{metric_text(DISTORTION, validation)}, {how_far} the training loss of {metric_text(DISTORTION, training)}."
    )
    if best.result.get(DISTORTION, math.nan) < validation:
        lowest = metric_text(DISTORTION, best.result[DISTORTION])
        text += f" The weights that are kept are of epoch {best.result['epoch']:.0f}, where it was {lowest}."
    return text


def trials_caption(standing: Standing, rows: int) -> str:
    """The order of the table of the best trials, and where the recommended one stands.

    Args:
        standing: A search with eligible trials.
        rows: How many the table has at most.
    """
    names = [trial.name for trial in standing.ranked]
    first = standing.search.goals.objectives[0]
    order = f"By {label(first.metric)}, the {'lowest' if first.mode == 'min' else 'highest'} first"
    if standing.best is None:
        return f"{order}. None of them is recommended: no model is kept."
    place = names.index(standing.best.name) + 1
    marked = "is marked" if place <= rows else f"comes as number {place}, below these"
    return f"{order}. The recommended one, {standing.best.name}, {marked}."


def _place(trial: TrialRecord) -> str:
    rate, loss = (f"{label(name)} {metric_text(name, trial.result[name])}" for name in (RATE, DISTORTION))
    return f"{trial.name} ({rate}, {loss})"


def _how_far(ratio: float) -> str:
    if ratio == 1:
        return "as is"
    return f"{ratio:.2g} times" if ratio >= 2 else f"{_percent(abs(ratio - 1))} {'above' if ratio > 1 else 'below'}"


def _percent(share: float) -> str:
    """A share that is not nothing."""
    return f"{share:.0%}" if share >= 0.01 else "less than 1%"
