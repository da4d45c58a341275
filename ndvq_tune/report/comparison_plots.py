"""Figures of several searches in one, and what they show in words."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

import plotly.graph_objects as go

from ndvq_tune.goals import Goals, Objective
from ndvq_tune.judgement.front import Moment, history
from ndvq_tune.judgement.pareto import front_ranks
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.quantities import count_text, duration
from ndvq_tune.report.comparison import Entry, differences
from ndvq_tune.report.plots import (
    DISTINCT,
    DISTORTION,
    INK,
    RATE,
    axis_title,
    hover,
    log_axis,
    measured_in_full,
    points,
    rate_distortion_front,
    styled,
    time_unit,
)
from ndvq_tune.report.wording import listed, metric_text

_APART = "Where searches do not compare, each line is to be read by itself."
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon")


def fronts(compared: Sequence[Entry]) -> go.Figure:
    """Bits against reconstruction loss: each search's trials, the best at each rate joined, in a colour of its own."""
    figure, values = go.Figure(), []
    for entry, colour, symbol in zip(compared, cycle(DISTINCT), cycle(_SYMBOLS), strict=False):
        search = entry.standing.search
        front = rate_distortion_front(search)
        others = [trial for trial in measured_in_full(search) if trial not in front]
        values += [trial.result for trial in (*front, *others)]
        marker = {"color": colour, "symbol": symbol}
        if others:
            figure.add_scatter(
                **points(others), mode="markers", marker=marker | {"size": 6}, opacity=0.35, name=entry.name,
                legendgroup=entry.name, showlegend=False, **hover(others),
            )  # fmt: skip
        if front:
            figure.add_scatter(
                **points(front), mode="lines+markers", marker=marker | {"size": 10}, line={"color": colour, "width": 2},
                name=entry.name, legendgroup=entry.name, **hover(front),
            )  # fmt: skip
    best = [entry.standing.best for entry in compared]
    ringed = [trial for trial in best if trial is not None and trial.finite(RATE, DISTORTION)]
    ring = {"color": "rgba(0,0,0,0)", "size": 19, "line": {"color": INK, "width": 2}}
    figure.add_scatter(**points(ringed), mode="markers", marker=ring, name="recommended", hoverinfo="skip")
    figure.update_xaxes(title=axis_title(RATE), **log_axis([result[RATE] for result in values]))
    figure.update_yaxes(title=axis_title(DISTORTION), **log_axis([result[DISTORTION] for result in values]))
    return styled(figure, height=430)


def fronts_caption(compared: Sequence[Entry]) -> str:
    """How many of the trials that nothing beats in both are of which search."""
    if differences(compared):
        return _APART
    found = [(entry.name, trial.result) for entry in compared for trial in rate_distortion_front(entry.standing.search)]
    ranks = front_ranks([(result[RATE], result[DISTORTION]) for _, result in found])
    names = [name for (name, _), rank in zip(found, ranks, strict=True) if rank == 0]
    told = listed([f"{names.count(entry.name) or 'none'} of {entry.name}" for entry in compared])
    shown = "Fewer bits to the left, better reconstructions below."
    return f"{shown} Nothing beats {count_text(len(names), 'trial')} in both: {told}."


def losses(compared: Sequence[Entry]) -> go.Figure:
    """The best reconstruction loss that each search had so far, over its time; empty where none has two moments."""
    figure, all_moments = go.Figure(), [_moments(entry) for entry in compared]
    ends = [moments[-1].seconds for moments in all_moments if len(moments) > 1]
    if not ends:
        return figure
    size, unit = time_unit(max(ends))
    for entry, moments, colour in zip(compared, all_moments, cycle(DISTINCT), strict=False):
        figure.add_scatter(
            x=[moment.seconds / size for moment in moments],
            y=[moment.value for moment in moments],
            mode="lines+markers",
            line={"color": colour, "width": 2, "shape": "hv"},
            name=entry.name,
            hovertext=[moment.trial for moment in moments],
            hovertemplate="%{hovertext}<br>%{y:.4g}",
        )
    figure.update_xaxes(title=unit, rangemode="tozero")
    values = [moment.value for moments in all_moments for moment in moments]
    figure.update_yaxes(title=f"best {DISTORTION}", **log_axis(values))
    return styled(figure, height=330)


def losses_caption(compared: Sequence[Entry]) -> str:
    """What each search had when the shortest of them ended."""
    if differences(compared):
        return _APART
    moments = {entry.name: _moments(entry) for entry in compared}
    end = min(found[-1].seconds for found in moments.values() if found)
    then = {name: [moment for moment in found if moment.seconds <= end][-1:] for name, found in moments.items()}
    had = {name: metric_text(DISTORTION, found[0].value) if found else "nothing yet" for name, found in then.items()}
    told = listed([f"{text} in {name}" for name, text in had.items()])
    return f"After {duration(end)}, when the shortest of them had its last trial, the best loss was {told}."


def _moments(entry: Entry) -> list[Moment]:
    search = entry.standing.search
    goals = Goals((Objective(DISTORTION, "min"),), search.goals.constraints)
    return history(Standing(replace(search, goals=goals)))
