"""Figures of a search."""

import math
from collections.abc import Sequence
from dataclasses import replace

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ndvq_tune.goals import Objective
from ndvq_tune.judgement.front import history
from ndvq_tune.judgement.lineage import whole
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.metrics import METRICS
from ndvq_tune.records import Role, SearchRecord, TrialRecord, TrialState, full_fidelity, short_name, short_value
from ndvq_tune.report.wording import label, metric_text, origin_text, rescue_text

RATE, DISTORTION = "bits_per_element", "recon_loss"
LOSSES = {"recon_loss": "validation", "train_recon_loss": "training"}
CURVES = ("recon_loss", "perplexity", "codebook_usage")
ACCENT, GREY, INK = "#d1495b", "#8b929c", "#30343f"
EDGE = {"color": "white", "width": 1}
COLOURS = {
    TrialState.COMPLETED: "#2e6f95",
    TrialState.PRUNED: GREY,
    TrialState.FAILED: "#8d5a97",
    TrialState.RUNNING: "#6ba292",
}
_TIMES = ((2 * 86400, 86400, "days"), (2 * 3600, 3600, "hours"), (2 * 60, 60, "minutes"), (0, 1, "seconds"))
_CLOSE = 4  # largest over smallest value
STATES = {TrialState.PRUNED: "stopped early", TrialState.RUNNING: "unfinished"}
# Distinct on white, and for readers who do not tell red from green.
DISTINCT = ("#2e6f95", "#d1495b", "#edae49", "#00798c", "#8d5a97", "#66a182", "#30343f", "#e07a5f")


def rate_distortion_front(search: SearchRecord) -> tuple[TrialRecord, ...]:
    """The front in reconstruction loss and bits, whatever the search's objectives were."""
    objectives = (Objective(DISTORTION, "min"), Objective(RATE, "min"))
    return Standing(replace(search, goals=replace(search.goals, objectives=objectives))).front


def measured_in_full(search: SearchRecord) -> list[TrialRecord]:
    """Trials with a rate and a loss on samples of full size; that of smaller ones is of another task."""
    return [trial for trial in search.trials if trial.finite(RATE, DISTORTION) and full_fidelity(trial.result)]


def rate_distortion(standing: Standing) -> go.Figure:
    """Bits against reconstruction loss: all trials by state, the front as a line, the recommended one marked."""
    figure, search = go.Figure(), standing.search
    measured = measured_in_full(search)
    front = rate_distortion_front(search)
    if len(front) > 1:
        line = {"color": ACCENT, "width": 2}
        name = "front" if set(search.goals.metrics) == {RATE, DISTORTION} else "best at each rate"
        figure.add_scatter(**points(front), mode="lines", line=line, name=name, hoverinfo="skip")
    for state, colour in COLOURS.items():
        some = [trial for trial in measured if trial.state is state and trial.role is not Role.CONFIRM]
        _scatter(figure, some, STATES.get(state, str(state)), color=colour, size=10, line=EDGE)
    repetitions = [trial for trial in measured if trial.role is Role.CONFIRM]
    _scatter(figure, repetitions, "repetition", color=COLOURS[TrialState.COMPLETED], size=7, symbol="circle-open")
    recommended = [trial for trial in (standing.best,) if trial is not None and trial.finite(RATE, DISTORTION)]
    if recommended:
        ring = {"color": "rgba(0,0,0,0)", "size": 19, "line": {"color": ACCENT, "width": 3}}
        figure.add_scatter(**points(recommended), mode="markers", marker=ring, name="recommended", hoverinfo="skip")
    figure.update_xaxes(title=axis_title(RATE), **log_axis([trial.result[RATE] for trial in measured]))
    figure.update_yaxes(title=axis_title(DISTORTION), **log_axis([trial.result[DISTORTION] for trial in measured]))
    return styled(figure, height=410)


def progress(standing: Standing) -> go.Figure:
    """Hypervolume of the front over time, or the best value so far with one objective; empty below two points."""
    figure = go.Figure()
    moments = history(standing)
    if len(moments) < 2:
        return figure
    size, unit = time_unit(moments[-1].seconds)
    first, *others = standing.search.goals.metrics
    figure.add_scatter(
        x=[moment.seconds / size for moment in moments],
        y=[moment.value for moment in moments],
        mode="lines+markers",
        line={"color": COLOURS[TrialState.COMPLETED], "width": 2, "shape": "hv"},
        hovertext=[moment.trial for moment in moments],
        hovertemplate="%{hovertext}<br>%{y:.4g}<extra></extra>",
    )
    figure.update_xaxes(title=unit, rangemode="tozero")
    figure.update_yaxes(title="hypervolume" if others else f"best {axis_title(first)}")
    if first == DISTORTION and not others:
        figure.update_yaxes(**log_axis([moment.value for moment in moments]))
    return styled(figure, height=270)


def importance(search: SearchRecord) -> go.Figure:
    """How much each parameter mattered, most on top, with intervals; empty where nobody knows."""
    figure, found = go.Figure(), search.importances[::-1]
    if not found:
        return figure
    figure.add_bar(
        x=[item.share for item in found],
        y=[short_name(item.key) for item in found],
        orientation="h",
        marker={"color": COLOURS[TrialState.COMPLETED], "opacity": 0.6},  # so that intervals show
        error_x={
            "array": [item.high - item.share for item in found],
            "arrayminus": [item.share - item.low for item in found],
            "symmetric": False,
            "color": INK,
            "thickness": 1.2,
        },
        hovertext=[f"{item.share:.0%} ({item.low:.0%} to {item.high:.0%})" for item in found],
        hoverinfo="y+text",
    )
    figure.update_xaxes(tickformat=".0%", range=[0, 1])
    figure.update_yaxes(automargin=True)
    return styled(figure, height=70 + 26 * len(found))


def curves(standing: Standing) -> go.Figure:
    """Reconstruction loss, perplexity and codebook use by epoch: the recommended in colour, all others in grey.

    Dotted lines are of smaller samples; symbols mark rescues.
    """
    figure = make_subplots(rows=1, cols=len(CURVES), subplot_titles=CURVES, horizontal_spacing=0.06)
    search = standing.search
    colours = dict(zip((trial.number for trial in standing.recommended), DISTINCT, strict=False))
    grey_last = sorted(search.trials, key=lambda trial: trial.number in colours)  # colour is drawn over grey
    for column, metric in enumerate(CURVES, start=1):
        for trial in grey_last:
            for trace in _curve(trial, metric, trial.name, colours.get(trial.number)):
                trace.showlegend = trace.showlegend and column == 1
                figure.add_trace(trace, row=1, col=column)
        for trace in _rescues(search, metric):
            figure.add_trace(trace.update(showlegend=column == 1), row=1, col=column)
    figure.update_xaxes(title="epoch")
    losses = [report[CURVES[0]] for trial in search.trials for report in trial.reports if CURVES[0] in report]
    figure.update_yaxes(**log_axis(losses), row=1, col=1)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", row=1, col=3)
    return styled(figure, height=380, top=40)


def fit(standing: Standing) -> go.Figure:
    """Training beside validation loss of the recommended trial by epoch, from its first one; empty without both.

    Dotted lines are of smaller samples.
    """
    figure, best = go.Figure(), standing.best
    if best is None or not best.finite(*LOSSES):
        return figure
    trial = whole(best, standing.search.trials)
    for (metric, name), colour in zip(LOSSES.items(), DISTINCT, strict=False):
        figure.add_traces(_curve(trial, metric, name, colour))
    figure.update_xaxes(title="epoch", rangemode="tozero")
    values = [report[metric] for report in trial.reports for metric in LOSSES if metric in report]
    figure.update_yaxes(title=DISTORTION, **log_axis(values))
    return styled(figure, height=300)


def _curve(trial: TrialRecord, metric: str, name: str, colour: str | None) -> list[go.Scatter]:
    """A trial's line: a dotted part as long as samples were small, then a solid one, which is the one in the legend."""
    reports = [report for report in trial.reports if math.isfinite(report.get(metric, math.nan))]
    small = [report for report in reports if not full_fidelity(report)]
    full = [report for report in reports if full_fidelity(report)]
    parts = [("dot", [*small, *full[:1]] if small else []), ("solid", full)]
    lines = [(dash, part) for dash, part in parts if part]
    state = STATES.get(trial.state, str(trial.state))
    return [
        go.Scatter(
            x=[report["epoch"] for report in part],
            y=[report[metric] for report in part],
            mode="lines+markers" if len(part) == 1 else "lines",
            line={"color": colour or GREY, "width": 2.5 if colour else 1, "dash": dash},
            opacity=1 if colour else 0.9 if trial.state is TrialState.COMPLETED else 0.6,
            name=name,
            legendgroup=name,
            showlegend=colour is not None and part is lines[-1][1],
            hovertemplate=f"{trial.name} ({trial.stop_reason or state})<br>epoch %{{x}}: %{{y:.4g}}<extra></extra>",
        )
        for dash, part in lines
    ]


def _rescues(search: SearchRecord, metric: str) -> list[go.Scatter]:
    """A symbol at each rescue, where the curve was then."""
    marks = [
        (rescue.epoch, report[metric], f"{trial.name}: {rescue_text(trial, rescue)}")
        for trial in search.trials
        for rescue in trial.rescues
        for report in trial.reports
        if report["epoch"] == rescue.epoch and math.isfinite(report.get(metric, math.nan))
    ]
    if not marks:
        return []
    epochs, values, texts = zip(*marks, strict=True)
    marker = {"symbol": "star", "size": 10, "color": INK, "line": EDGE}
    return [
        go.Scatter(
            x=epochs, y=values, mode="markers", marker=marker, name="rescue", legendgroup="rescue",
            hovertext=texts, hoverinfo="text",
        )
    ]  # fmt: skip


def _scatter(figure: go.Figure, trials: Sequence[TrialRecord], name: str, **marker: object) -> None:
    if trials:
        name = f"{name} ({len(trials)})"
        figure.add_scatter(**points(trials), mode="markers", marker=marker, name=name, **hover(trials))


def points(trials: Sequence[TrialRecord]) -> dict[str, list[float]]:
    """Where trials are in rate and distortion."""
    return {"x": [trial.result[RATE] for trial in trials], "y": [trial.result[DISTORTION] for trial in trials]}


def hover(trials: Sequence[TrialRecord]) -> dict[str, object]:
    """What a trace shows of its trials, a point each, when the mouse is over them."""
    return {"hovertext": [card(trial) for trial in trials], "hoverinfo": "text"}


def card(trial: TrialRecord) -> str:
    """A trial in a few lines: what became of it, how good it is, and what was chosen."""
    state = STATES.get(trial.state, str(trial.state))
    head = f"<b>{trial.name}</b> {state}" + (f": {trial.stop_reason}" if trial.stop_reason else "")
    metrics = [
        f"{label(name)} {metric_text(name, trial.result[name])}"
        for name in (DISTORTION, "psnr", "perplexity", "codebook_usage", RATE)
        if name in trial.result
    ]
    params = [f"{short_name(key)} = {short_value(value)}" for key, value in trial.params.items()]
    return "<br>".join([head, *filter(None, [origin_text(trial)]), ", ".join(metrics), *params])


def log_axis(values: Sequence[float], digits: Sequence[int] = (1, 2, 5)) -> dict[str, object]:
    """A logarithmic axis with its ticks in full: Plotly's own are bare digits between powers of ten.

    Values so close that no two ticks would be among them have a linear one.

    Args:
        values: What is drawn.
        digits: Where ticks are, in each power of ten.
    """
    positive = [value for value in values if math.isfinite(value) and value > 0]
    if not positive or max(positive) < _CLOSE * min(positive):
        return {"type": "linear"}
    decades = range(math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive))) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in digits]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:.6g}" for tick in ticks]}


def axis_title(metric: str) -> str:
    """A metric with its unit."""
    unit = METRICS[metric].unit
    return metric if unit == "1" else f"{metric} ({unit})"


def time_unit(seconds: float) -> tuple[int, str]:
    """The unit for an axis that is so long: its seconds, and its name."""
    return next((size, unit) for least, size, unit in _TIMES if seconds >= least)


def styled(figure: go.Figure, height: int, top: int = 10) -> go.Figure:
    """A figure in the report's style.

    Args:
        figure: It is changed.
        height: Pixels.
        top: Pixels above the axes.
    """
    grid = {"gridcolor": "#e8ebef", "linecolor": "#c9ced6", "zeroline": False, "minor": {"ticks": ""}}
    figure.update_xaxes(**grid)
    figure.update_yaxes(**grid)
    return figure.update_layout(
        height=height,
        margin={"l": 60, "r": 10, "t": top, "b": 50},
        paper_bgcolor="white",
        plot_bgcolor="white",
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        legend={"orientation": "h", "y": -0.18, "yanchor": "top"},
        hoverlabel={"align": "left", "bgcolor": "white"},
    )
