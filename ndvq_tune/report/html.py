"""The report for people: one HTML file that needs no network and no other file."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from itertools import islice
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ndvq_tune.records import SearchRecord, short_name, short_value
from ndvq_tune.report.files import replacing
from ndvq_tune.report.finding import finding
from ndvq_tune.report.plots import curves, rate_distortion
from ndvq_tune.report.ranking import best, pareto, ranked, satisfies
from ndvq_tune.report.skipped import SKIPPED
from ndvq_tune.report.wording import (
    label,
    metric_text,
    outcome,
    params_text,
    shown_metrics,
    stop_reasons,
)

ROWS = 10
SKIPPED_SHOWN = 10
_RATE_DISTORTION_NOTE = (
    "Each point is a trial: fewer bits to the left, better reconstructions below. Nothing beats the trials on the line "
    "in both. Hover over a point for its parameters."
)
_CURVES_NOTE = "Trials on the front are in colour, all others in grey."
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
        _figure("Rate and distortion", rate_distortion(search), _RATE_DISTORTION_NOTE),
        _section("Best trials", _best_table(search)),
        _pictures(search, pictures),
        _figure("Learning curves", curves(search), _CURVES_NOTE),
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


def _best_table(search: SearchRecord) -> str:
    trials = ranked(search)[:ROWS]
    if not trials:
        return ""
    metrics = shown_metrics(search)
    keys = list(dict.fromkeys(key for trial in trials for key in trial.params))
    front = {trial.number for trial in pareto(search)}
    winner = best(search)
    head = ["trial", *(label(name) for name in metrics), "front", *(short_name(key) for key in keys)]
    rows = [
        _row(
            [
                trial.name + ("" if satisfies(trial, search) else " (breaks a constraint)"),
                *(metric_text(name, trial.metrics.get(name)) for name in metrics),
                "yes" if trial.number in front else "",
                *(short_value(trial.params[key]) if key in trial.params else "" for key in keys),
            ],
            best=trial is winner,
        )
        for trial in trials
    ]
    note = '<p class="quiet">By the first objective. The marked trial is the recommended one.</p>'
    return f'{note}<div class="scroll"><table>{_head(head)}{"".join(rows)}</table></div>'


def _outcomes(search: SearchRecord) -> str:
    parts = [f"<p>{escape(outcome(search))}.</p>"]
    reasons = stop_reasons(search)
    if reasons:
        parts.append(f"<p>Stopped early by: {', '.join(f'{escape(name)} {n}' for name, n in reasons.items())}.</p>")
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


def _head(cells: Sequence[str]) -> str:
    """Names may break after ``_`` and ``.``, so that many columns fit."""
    names = (escape(cell).replace("_", "_<wbr>").replace(".", ".<wbr>") for cell in cells)
    return f"<tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>"


def _row(cells: Sequence[str], *, best: bool) -> str:
    attribute = ' class="best"' if best else ""
    return f"<tr{attribute}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _last_line(error: str) -> str:
    return error.strip().split("\n")[-1]
