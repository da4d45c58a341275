"""Where the time went: when each trial ran, and how much of that was training."""

from collections.abc import Container, Mapping

import plotly.graph_objects as go

from ndvq_tune.quantities import count_text, duration
from ndvq_tune.records import SearchRecord, TrialRecord
from ndvq_tune.report.plots import COLOURS, EDGE, STATES, styled, time_unit

SECONDS = "training_seconds"
_ROW, _MOST_ROWS = 16, 40  # pixels a trial, and how many have them; rows of more are thinner
_BREAK = 1.05  # of the time that the search ran, from which on trials cannot have followed one another without a break


def timeline(search: SearchRecord) -> go.Figure:
    """A bar for each trial that has ended, from its start to its end, in the colour of what became of it."""
    figure, ended = go.Figure(), _lives(search)
    if not ended:
        return figure
    begin = min(start for start, _ in ended.values())
    size, unit = time_unit(max(end for _, end in ended.values()) - begin)
    for state, colour in COLOURS.items():
        some = [trial for trial in search.trials if trial.number in ended and trial.state is state]
        if some:
            lives = [ended[trial.number] for trial in some]
            figure.add_bar(
                x=[(end - start) / size for start, end in lives],
                base=[(start - begin) / size for start, _ in lives],
                y=[trial.name for trial in some],
                orientation="h",
                marker={"color": colour, "line": EDGE},
                name=f"{STATES.get(state, str(state))} ({len(some)})",
                hovertext=[
                    f"{trial.name}: {duration(end - start)}" for trial, (start, end) in zip(some, lives, strict=True)
                ],
                hoverinfo="text",
            )
    figure.update_layout(barmode="overlay", bargap=0.15)
    figure.update_xaxes(title=unit, rangemode="tozero")
    names = [trial.name for trial in search.trials if trial.number in ended]
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], automargin=True)
    styled(figure, height=130 + _ROW * min(len(names), _MOST_ROWS))
    legend = {"yref": "container", "y": 0, "yanchor": "bottom"}  # below the axis, however few rows there are
    return figure.update_layout(legend=legend, margin={"b": 80})


def timeline_caption(search: SearchRecord) -> str:
    """How many trials ran at once, and what share of their time was training, where the records can say so."""
    ended = _lives(search)
    if not ended:
        return ""
    span = max(end for _, end in ended.values()) - min(start for start, _ in ended.values())
    total = sum(end - start for start, end in ended.values())
    left_out = len(search.trials) - len(ended)
    text = f"{count_text(len(ended), 'trial')} in {duration(span)}"
    if span > _BREAK * search.wall_seconds:
        text += ". The search was interrupted in between, so what its trials waited for cannot be told"
    elif span > 0:
        text += f", {total / span:.1f} at a time on average"
        if (trained := _trained(search, ended)) is not None:
            share = f"{trained / total:.0%}"
            text += f". {share} of their time was training and validation; the rest was starting, saving and waiting"
    return text + (f". Not yet ended, and left out: {left_out}." if left_out else ".")


def _lives(search: SearchRecord) -> dict[int, tuple[float, float]]:
    """Start and end of each trial that has both, in Unix time, by its number."""
    return {
        trial.number: (trial.started, trial.ended)
        for trial in search.trials
        if trial.started is not None and trial.ended is not None
    }


def _trained(search: SearchRecord, numbers: Container[int]) -> float | None:
    """Seconds that these trials were in training and validation; None where one of them does not say."""
    by_number = {trial.number: trial for trial in search.trials}
    seconds = [_own_seconds(trial, by_number) for trial in search.trials if trial.number in numbers and trial.reports]
    known = [own for own in seconds if own is not None]
    return sum(known) if known and len(known) == len(seconds) else None


def _own_seconds(trial: TrialRecord, trials: Mapping[int, TrialRecord]) -> float | None:
    """Seconds of a trial in training and validation, without those that came with its parent's checkpoint."""
    total, earlier = trial.metrics.get(SECONDS), 0.0
    if trial.role.inherits and trial.parent is not None:
        epoch = trial.reports[0]["epoch"] - 1
        of_parent = {report["epoch"]: report.get(SECONDS) for report in trials[trial.parent].reports}
        inherited = of_parent.get(epoch)
        if inherited is None:
            return None
        earlier = inherited
    return None if total is None else total - earlier
