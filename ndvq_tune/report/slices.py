"""Where good values lie: the loss of every trial against each parameter, on the parameter's own scale."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ndvq_tune.distributions import Choice, Range, Searched
from ndvq_tune.records import TrialRecord, short_name, short_value
from ndvq_tune.report.contest import Contest, choice_text
from ndvq_tune.report.plots import ACCENT, COLOURS, EDGE, STATES, log_axis, styled
from ndvq_tune.report.wording import label, listed

MOST, COLUMNS = 12, 4  # parameters, and how many of them stand side by side at most
NAMED = 3  # parameters of which the caption tells
_ROW = 190  # pixels
_DECADES = 30  # largest over smallest value, from which on powers of ten are ticks enough
_PAD = 0.04  # of a range, left and right of it


def slices(contest: Contest) -> go.Figure:
    """The first objective of every trial against each parameter, as wide as the space has it; empty without any."""
    drawn = contest.parameters[:MOST]
    if not drawn:
        return go.Figure()
    columns = min(COLUMNS, len(drawn))
    rows = -(-len(drawn) // columns)
    figure = make_subplots(
        rows,
        columns,
        shared_yaxes="all",
        subplot_titles=[short_name(parameter.key) for parameter in drawn],
        horizontal_spacing=0.03,
        vertical_spacing=0.3 / rows,
    )
    shown: set[str] = set()
    for place, parameter in enumerate(drawn):
        at = {"row": place // columns + 1, "col": place % columns + 1}
        for trace in _points(contest, parameter):
            figure.add_trace(trace.update(showlegend=trace.name not in shown), **at)
            shown.add(trace.name)
        figure.update_xaxes(**_scale(parameter), **at)
    figure.update_yaxes(**log_axis([trial.result[contest.metric] for trial in contest.trials]))
    figure.update_yaxes(title=label(contest.metric), col=1)
    figure.update_annotations(font_size=13)
    styled(figure, height=110 + _ROW * rows, top=30)
    return figure.update_layout(legend={"yref": "container", "y": 0, "yanchor": "bottom"}, margin={"b": 70})


def slices_caption(contest: Contest) -> str:
    """Which values the best trials have of the parameters that come first."""
    told = [f"{short_name(item.key)} {_values_text(item, contest.best)}" for item in contest.parameters[:NAMED]]
    text = f"The {contest.best_text} {'has' if len(contest.best) == 1 else 'have'} {listed(told)}."
    left_out = len(contest.parameters) > MOST
    return text + (f" Drawn are the first {MOST} of {len(contest.parameters)} parameters." if left_out else "")


def _points(contest: Contest, parameter: Searched) -> list[go.Scatter]:
    """A trace for each state, and rings around what is on the front and what is recommended."""
    has = [trial for trial in contest.trials if parameter.key in trial.params]
    groups: list[tuple[str, list[TrialRecord], Mapping[str, Any]]] = [
        (STATES.get(state, str(state)), [trial for trial in has if trial.state is state], {"color": colour, "size": 8})
        for state, colour in COLOURS.items()
    ]
    if contest.several:
        groups.append(("on the front", [trial for trial in has if contest.is_best(trial)], _ring(13, 1.5)))
    groups.append(("recommended", [trial for trial in has if trial is contest.winner], _ring(18, 3)))
    return [
        go.Scatter(
            x=[_drawn(parameter, trial) for trial in some],
            y=[trial.result[contest.metric] for trial in some],
            mode="markers",
            marker={"line": EDGE} | dict(marker),
            name=name,
            legendgroup=name,
            text=[trial.name for trial in some],
            hovertemplate="%{text}<br>%{x}: %{y:.4g}<extra></extra>",
        )
        for name, some, marker in groups
        if some
    ]


def _ring(size: int, width: float) -> dict[str, Any]:
    return {"color": "rgba(0,0,0,0)", "size": size, "line": {"color": ACCENT, "width": width}}


def _drawn(parameter: Searched, trial: TrialRecord) -> Any:
    """A trial's value as its axis has it."""
    value = trial.params[parameter.key]
    return choice_text(value) if isinstance(parameter.distribution, Choice) else value


def _scale(parameter: Searched) -> dict[str, Any]:
    distribution = parameter.distribution
    if isinstance(distribution, Choice):
        names = [choice_text(value) for value in distribution.values]
        return {"type": "category", "categoryorder": "array", "categoryarray": names, "range": [-0.5, len(names) - 0.5]}
    low, high = distribution.low, distribution.high
    axis: dict[str, Any] = {"type": "linear"}
    if distribution.log:
        axis = log_axis([low, high], (1, 2, 5) if high < _DECADES * low else (1,))
    if axis["type"] == "log":
        low, high = math.log10(low), math.log10(high)
    return {**axis, "range": [low - _PAD * (high - low), high + _PAD * (high - low)]}


def _values_text(parameter: Searched, trials: Sequence[TrialRecord]) -> str:
    """Which values trials have of a parameter: from where to where, of how much; or which choices, how often."""
    values = [trial.params[parameter.key] for trial in trials if parameter.key in trial.params]
    if isinstance(parameter.distribution, Range):
        searched = f"of {short_value(parameter.distribution.low)} to {short_value(parameter.distribution.high)}"
        ends = dict.fromkeys(short_value(value) for value in (min(values), max(values))) if values else ["nowhere"]
        return f"{' to '.join(ends)} ({searched})"
    counts = Counter(choice_text(value) for value in values).most_common() or [("nowhere", 0)]
    return " or ".join(value if len(counts) == 1 else f"{value} ({count})" for value, count in counts)
