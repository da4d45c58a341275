"""The report for people: one HTML file that needs no network and no other file."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from itertools import islice, zip_longest
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ndvq_tune.atomic import replacing
from ndvq_tune.judgement.front import reference
from ndvq_tune.judgement.ranking import best, pareto, ranked, satisfies
from ndvq_tune.records import SearchRecord, full_fidelity
from ndvq_tune.report.columns import Column, confirmed_columns, metric_columns, param_columns, parent_columns
from ndvq_tune.report.finding import finding
from ndvq_tune.report.plots import curves, progress, rate_distortion
from ndvq_tune.report.skipped import SKIPPED
from ndvq_tune.report.wording import circumstances, label, metric_text, outcome, params_text, rescues, shown_metrics

ROWS = 10
SKIPPED_SHOWN = 10
_RATE_DISTORTION_NOTE = (
    "Each point is a trial: fewer bits to the left, better reconstructions below. Nothing beats the trials on the line "
    "in both. Hover over a point for its parameters."
)
_CURVES_NOTE = "Trials on the front are in colour, all others in grey."
_DOTTED_NOTE = " Lines are dotted where samples were smaller."
_SMALL_NOTE = " Trials that ended on smaller samples are left out: {}."
_RESCUE_NOTE = " A star marks a rescue of the codebook."
_REPETITIONS_NOTE = (
    "Means over seeds: the trial itself, if it was completed, and its repetitions. The spread is the standard "
    "deviation, and P the probability that the true mean is the {}, for values that scatter alike around it."
)
_PROGRESS_NOTE = (
    "Hypervolume of the front after each trial that had finished, from the worst of all values ({}). "
    "Flat at the end: more trials would find little."
)
_STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; color: #30343f; background: #f4f5f7; margin: 0; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 28px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 0 0 12px; }
p { margin: 0 0 10px; } .quiet { color: #6b7280; }
.found { font-size: 20px; line-height: 1.45; margin: 18px 0 24px; }
section { background: white; border: 1px solid #e3e6ea; border-radius: 8px; padding: 20px 24px; margin: 0 0 20px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 8px; border-bottom: 1px solid #eceef1; white-space: nowrap; }
th { color: #6b7280; font-weight: 500; white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
tr.best td { background: #fdf3f4; font-weight: 600; }
img { max-width: 100%; image-rendering: pixelated; }
code { background: #f0f1f4; border-radius: 4px; padding: 1px 5px; font-size: 14px; }
"""


def write_html(search: SearchRecord, folder: Path, pictures: Mapping[str, Path]) -> Path:
    """Writes ``report.html``.

    Args:
        search: The search.
        folder: The results folder.
        pictures: PNGs of reconstructions by the name of their trial; they are embedded.

    Returns:
        Its path.
    """
    path = folder / "report.html"
    with replacing(path) as draft:
        draft.write_text(page(search, pictures), encoding="utf-8")
    return path


def page(search: SearchRecord, pictures: Mapping[str, Path]) -> str:
    """The whole report as HTML."""
    sections = [
        _rate_distortion(search),
        _progress(search),
        _section("Best trials", _best_table(search)),
        _section("Repeated with other seeds", _repetitions(search)),
        _pictures(search, pictures),
        _curves(search),
        _section("What became of the trials", _outcomes(search)),
    ]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(search.name)}</title>
<style>{_STYLE}</style>
<script>{get_plotlyjs()}</script>
</head>
<body><main>
<h1>{escape(search.name)}</h1>
<p class="quiet">{escape(outcome(search))}.</p>
<p class="found">{escape(finding(search))}</p>
{"".join(sections)}
</main></body>
</html>
"""


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>\n" if content else ""


def _figure(title: str, figure: go.Figure, note: str) -> str:
    if not figure.data:
        return ""
    plot = figure.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False, "responsive": True})
    return _section(title, f'<p class="quiet">{escape(note)}</p>{plot}')


def _pictures(search: SearchRecord, pictures: Mapping[str, Path]) -> str:
    trials = {trial.name: trial for trial in search.trials}
    blocks = []
    for name, path in pictures.items():
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        caption = f"{name}: {params_text(trials[name])}" if name in trials else name
        alt = f"inputs above reconstructions of {name}"
        blocks.append(f'<p class="quiet">{escape(caption)}</p>')
        blocks.append(f'<p><img alt="{escape(alt)}" src="data:image/png;base64,{data}"></p>')
    return _section("Inputs and their reconstructions", "".join(blocks))


def _rate_distortion(search: SearchRecord) -> str:
    small = sum(not full_fidelity(trial.metrics) for trial in search.trials)
    note = _RATE_DISTORTION_NOTE + (_SMALL_NOTE.format(small) if small else "")
    return _figure("Rate and distortion", rate_distortion(search), note)


def _progress(search: SearchRecord) -> str:
    (first, _), *others = search.objectives
    if not others:
        return _figure("Progress", progress(search), f"The best {label(first)} so far, after each finished trial.")
    worst = ", ".join(f"{label(name)} {metric_text(name, value)}" for name, value in reference(search).items())
    return _figure("Progress of the front", progress(search), _PROGRESS_NOTE.format(worst))


def _curves(search: SearchRecord) -> str:
    dotted = any(not full_fidelity(report) for trial in search.trials for report in trial.reports)
    rescued = any(trial.rescues for trial in search.trials)
    note = _CURVES_NOTE + _DOTTED_NOTE * dotted + _RESCUE_NOTE * rescued
    return _figure("Learning curves", curves(search), note)


def _best_table(search: SearchRecord) -> str:
    trials = ranked(search)[:ROWS]
    if not trials:
        return ""
    names = [trial.name + ("" if satisfies(trial, search) else " (breaks a constraint)") for trial in trials]
    front = {trial.number for trial in pareto(search)}
    winner = best(search)
    columns = [
        ("trial", names),
        *parent_columns(trials),
        *metric_columns(trials, shown_metrics(search)),
        ("front", ["yes" if trial.number in front else "" for trial in trials]),
        *param_columns(trials),
    ]
    note = '<p class="quiet">By the first objective. The marked trial is the recommended one.</p>'
    return note + _table(columns, marked=[trial is winner for trial in trials])


def _repetitions(search: SearchRecord) -> str:
    columns = confirmed_columns(search)
    if not columns:
        return ""
    note = _REPETITIONS_NOTE.format("lowest" if search.objectives[0][1] == "min" else "highest")
    return f'<p class="quiet">{escape(note)}</p>' + _table(columns)


def _outcomes(search: SearchRecord) -> str:
    parts = [f"<p>{escape(outcome(search))}.</p>"]
    parts += [f"<p>{escape(line[0].upper() + line[1:])}.</p>" for line in circumstances(search)]
    parts += [f"<p>Rescued {escape(line)}.</p>" for line in rescues(search)]
    errors = [(trial.name, trial.error) for trial in search.trials if trial.error]
    parts += [f"<p>{name} failed: <code>{escape(_last_line(error))}</code></p>" for name, error in errors]
    skipped = search.skipped_files
    parts += [
        f"<p>Skipped <code>{escape(name)}</code>: {escape(reason)}</p>"
        for name, reason in islice(skipped.items(), SKIPPED_SHOWN)
    ]
    if len(skipped) > SKIPPED_SHOWN:
        parts.append(f"<p>{len(skipped) - SKIPPED_SHOWN} more are in <code>{SKIPPED}</code>.</p>")
    return "".join(parts)


def _table(columns: Sequence[Column], marked: Sequence[bool] = ()) -> str:
    """A table that can be scrolled; names may break after ``_`` and ``.``, so that many columns fit."""
    heads = (escape(head).replace("_", "_<wbr>").replace(".", ".<wbr>") for head, _ in columns)
    rows = [f"<tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>"]
    for cells, mark in zip_longest(zip(*(texts for _, texts in columns), strict=True), marked):
        row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr class="best">{row}</tr>' if mark else f"<tr>{row}</tr>")
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _last_line(error: str) -> str:
    return error.strip().split("\n")[-1]
