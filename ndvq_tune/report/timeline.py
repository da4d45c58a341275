"""Where the time went: which lane had which trial when, and how much of that was training."""

import math
from collections.abc import Container, Mapping, Sequence

import plotly.graph_objects as go

from ndvq_tune.quantities import count_text, duration
from ndvq_tune.records import SearchRecord, TrialRecord
from ndvq_tune.report.lanes import SECONDS, Visit, before, shares, visits
from ndvq_tune.report.plots import COLOURS, EDGE, STATES, styled, time_unit
from ndvq_tune.report.wording import listed

_ROW, _MOST_ROWS = 16, 40  # pixels a trial, and how many have them; rows of more are thinner
_LANE = 34  # pixels a lane
_STARTING = "#f2d49b"
_BREAK = 1.05  # of the time that the search ran, from which on trials cannot have followed one another without a break


def timeline(search: SearchRecord) -> go.Figure:
    """A row a lane, with a bar for each time that it had a trial, in the colour of what became of that.

    Of a search that has not noted its lanes it is a row a trial that has ended, from its start to its end.
    """
    found = visits(search)
    return _lanes(found) if found else _trials(search)


def _lanes(found: Sequence[Visit]) -> go.Figure:
    figure = go.Figure()
    size, unit = time_unit(max(visit.ended for visit in found))
    rows = max(visit.row for visit in found) + 1
    for state, colour in COLOURS.items():
        some = [visit for visit in found if visit.trial.state is state]
        if some:
            figure.add_bar(
                x=[(visit.seconds - visit.starting) / size for visit in some],
                base=[(visit.begun + visit.starting) / size for visit in some],
                y=[_row_name(visit.row) for visit in some],
                orientation="h",
                marker={"color": colour, "line": EDGE},
                name=f"{STATES.get(state, str(state))} ({len({visit.trial.number for visit in some})})",
                text=[str(visit.trial.number) for visit in some],
                textposition="inside",
                insidetextanchor="middle",
                hovertext=[_card(visit) for visit in some],
                hoverinfo="text",
            )
    starting = [visit for visit in found if visit.starting > 0]
    if starting:
        figure.add_bar(
            x=[visit.starting / size for visit in starting],
            base=[visit.begun / size for visit in starting],
            y=[_row_name(visit.row) for visit in starting],
            orientation="h",
            marker={"color": _STARTING, "line": EDGE},
            name="starting",
            hoverinfo="skip",
        )
    names = [_row_name(row) for row in range(rows)]
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], automargin=True)
    figure.update_layout(uniformtext={"minsize": 9, "mode": "hide"})
    return _laid_out(figure, unit, 130 + _LANE * min(rows, _MOST_ROWS))


def _row_name(row: int) -> str:
    return f"lane {row + 1}"


def _card(visit: Visit) -> str:
    parts = {"starting": visit.starting, "training": visit.training, "validation": visit.validation}
    told = [f"{name} {duration(seconds)}" for name, seconds in parts.items() if math.isfinite(seconds)]
    return "<br>".join([f"<b>{visit.trial.name}</b> {duration(visit.seconds)}", *told])


def _trials(search: SearchRecord) -> go.Figure:
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
    names = [trial.name for trial in search.trials if trial.number in ended]
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], automargin=True)
    return _laid_out(figure, unit, 130 + _ROW * min(len(names), _MOST_ROWS))


def _laid_out(figure: go.Figure, unit: str, height: int) -> go.Figure:
    figure.update_layout(barmode="overlay", bargap=0.15)
    figure.update_xaxes(title=unit, rangemode="tozero")
    legend = {"yref": "container", "y": 0, "yanchor": "bottom"}  # below the axis, however few rows there are
    return styled(figure, height).update_layout(legend=legend, margin={"b": 80})


def timeline_caption(search: SearchRecord) -> str:
    """How many trials ran at once, and what share of their time was training, where the records can say so."""
    found = visits(search)
    return _lanes_caption(found) if found else _trials_caption(search)


def _lanes_caption(found: Sequence[Visit]) -> str:
    trials, lanes = len({visit.trial.number for visit in found}), max(visit.row for visit in found) + 1
    begun, ended = min(visit.begun for visit in found), max(visit.ended for visit in found)
    text = f"{count_text(trials, 'trial')} on {count_text(lanes, 'lane')} in {duration(ended - begun)}"
    text += f"; the first began {duration(begun)} after the search."
    if again := len(found) - trials:
        text += f" A trial came back to a lane {'once' if again == 1 else f'{again} times'}."
    if ended == begun or not all(map(math.isfinite, (parts := shares(found)).values())):
        return text
    told = [f"{share:.0%} {name}" for name, share in sorted(parts.items(), key=lambda part: -part[1])]
    return f"{text} The time of the lanes: {listed(told)}."


def _trials_caption(search: SearchRecord) -> str:
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
    total, earlier = trial.metrics.get(SECONDS), before(trial.reports[0], trial, trials).get(SECONDS)
    return None if total is None or earlier is None else total - earlier
