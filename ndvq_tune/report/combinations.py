"""Parallel coordinates: which combinations of values the best trials have, and the others have not.

Plotly's own chart of this kind needs WebGL, cannot say which trial a line is, and draws lines through one choice over
each other. Here they lie side by side, the better ones above.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from ndvq_tune.distributions import Choice, Searched
from ndvq_tune.records import TrialRecord, TrialState, short_name, short_value
from ndvq_tune.report.contest import Contest, choice_text
from ndvq_tune.report.plots import ACCENT, COLOURS, styled
from ndvq_tune.report.wording import label, listed, metric_text

MOST = 6  # parameters: across more of them no line can be followed
_STYLES = (("#c3c8cf", 1), (COLOURS[TrialState.COMPLETED], 2), (ACCENT, 3.5))  # colours and widths of the lines
_BAND = 0.7  # of the room of a choice, which lines through it take


@dataclass(frozen=True)
class _Axis:
    """One of the upright axes.

    Attributes:
        name: What stands above it.
        place: Where a trial crosses it, from 0, below, to 1; None where it has no such value.
        ticks: What stands where beside it.
    """

    name: str
    place: Callable[[TrialRecord], float | None]
    ticks: Sequence[tuple[float, str]]


def combinations(contest: Contest) -> go.Figure:
    """A line a trial across the first parameters to its objectives; empty below two parameters."""
    figure, drawn = go.Figure(), contest.parameters[:MOST]
    if len(drawn) < 2:
        return figure
    axes = [_of_parameter(parameter, contest.trials) for parameter in drawn]
    axes += [_of_metric(metric, contest.trials) for metric in contest.standing.search.goals.metrics]
    good = "on the front" if contest.several else "best"
    groups: dict[str, list[TrialRecord]] = {"other trials": [], good: [], "recommended": []}
    for trial in contest.trials:
        name = "recommended" if trial is contest.winner else good if contest.is_best(trial) else "other trials"
        groups[name].append(trial)
    for (name, some), (colour, width) in zip(groups.items(), _STYLES, strict=True):
        if some:
            line = {"color": colour, "width": width}
            figure.add_scatter(**_lines(some, axes), mode="lines", name=name, line=line, hoverinfo="text")
    for place, axis in enumerate(axes):
        for height, text in axis.ticks:
            figure.add_annotation(
                x=place, y=height, text=text, showarrow=False, xanchor="left", xshift=2, font_size=11, borderpad=1,
                bgcolor="rgba(255,255,255,0.75)",
            )  # fmt: skip
    styled(figure, height=430, top=60)
    figure.update_yaxes(visible=False, range=[-0.05, 1.05])
    figure.update_xaxes(
        side="top", tickvals=[*range(len(axes))], ticktext=[axis.name.replace(".", ".<br>") for axis in axes],
        tickangle=0, gridcolor="#9aa1ab", range=[-0.35, len(axes) - 0.4], showline=False,
    )  # fmt: skip
    return figure.update_layout(legend={"y": -0.02}, margin={"l": 0, "b": 40})


def combinations_caption(contest: Contest) -> str:
    """Which choices the best trials have in common, and how many others have these, too."""
    best = contest.best
    if len(best) < 2:
        return f"With {contest.best_text} there is nothing to have in common."
    keys = [parameter.key for parameter in contest.parameters if isinstance(parameter.distribution, Choice)]
    common = {key: best[0].params[key] for key in keys if _agreed(best, key)}
    if not common:
        return f"The {contest.best_text} have no choice in common."
    others = [trial for trial in contest.trials if not contest.is_best(trial)]
    alike = sum(all(trial.params.get(key) == value for key, value in common.items()) for trial in others)
    told = listed([f"{short_name(key)} {choice_text(value)}" for key, value in common.items()])
    has = "has" if alike == 1 else "have"
    return (
        f"The {contest.best_text} have {told} in common; of the {len(others)} others, {alike or 'none'} {has} the same."
    )


def _agreed(trials: Sequence[TrialRecord], key: str) -> bool:
    return all(key in trial.params and trial.params[key] == trials[0].params[key] for trial in trials)


def _lines(trials: Sequence[TrialRecord], axes: Sequence[_Axis]) -> dict[str, list[Any]]:
    """Many lines as one trace: there is a gap behind each. A line passes by what its trial does not have."""
    traces: dict[str, list[Any]] = {"x": [], "y": [], "hovertext": []}
    for trial in trials:
        crossed = [(place, height) for place, axis in enumerate(axes) if (height := axis.place(trial)) is not None]
        for place, height in [*crossed, (None, None)]:
            traces["x"].append(place)
            traces["y"].append(height)
            traces["hovertext"].append(trial.name)
    return traces


def _of_parameter(parameter: Searched, trials: Sequence[TrialRecord]) -> _Axis:
    distribution, key = parameter.distribution, parameter.key
    if not isinstance(distribution, Choice):
        return _of_numbers(
            short_name(key), lambda trial: trial.params.get(key), (distribution.low, distribution.high),
            short_value, log=distribution.log,
        )  # fmt: skip
    names = [choice_text(value) for value in distribution.values]
    best_first = {trial.number: rank / len(trials) for rank, trial in enumerate(trials)}

    def place(trial: TrialRecord) -> float | None:
        if key not in trial.params:
            return None
        within = 0.5 - _BAND * (best_first[trial.number] - 0.5)
        return (names.index(choice_text(trial.params[key])) + within) / len(names)

    return _Axis(short_name(key), place, [((index + 0.5) / len(names), name) for index, name in enumerate(names)])


def _of_metric(metric: str, trials: Sequence[TrialRecord]) -> _Axis:
    values = [trial.result[metric] for trial in trials]
    ends = min(values), max(values)
    return _of_numbers(
        label(metric), lambda trial: trial.result[metric], ends, lambda value: metric_text(metric, value),
        log=ends[0] > 0,
    )  # fmt: skip


def _of_numbers(
    name: str,
    value: Callable[[TrialRecord], float | None],
    ends: tuple[float, float],
    text: Callable[[float], str],
    *,
    log: bool,
) -> _Axis:
    """An axis from end to end, with both written beside it."""
    scaled = math.log if log else float
    low, high = map(scaled, ends)

    def place(trial: TrialRecord) -> float | None:
        found = value(trial)
        return None if found is None else (scaled(found) - low) / (high - low) if high > low else 0.5

    return _Axis(name, place, [(0, text(ends[0])), (1, text(ends[1]))])
