"""The report for people: one HTML file that needs no network and no other file; ``page.html.jinja`` lays it out."""

import base64
import gzip
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from ndvq_tune.atomic import replacing
from ndvq_tune.diagnosis.finding import Diagnosis, Finding
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.pictures.showcase import Showcase
from ndvq_tune.records import TrialRecord, full_fidelity
from ndvq_tune.report.baselines import baseline_columns, compared
from ndvq_tune.report.captions import (
    curves_caption,
    fit_caption,
    importance_caption,
    progress_caption,
    rate_distortion_caption,
    trials_caption,
)
from ndvq_tune.report.code_use import code_use, code_uses
from ndvq_tune.report.columns import Column, confirmed_columns, metric_columns, param_columns, parent_columns
from ndvq_tune.report.combinations import combinations, combinations_caption
from ndvq_tune.report.contest import Contest
from ndvq_tune.report.embedding import embedded
from ndvq_tune.report.finding import finding
from ndvq_tune.report.plots import curves, fit, importance, progress, rate_distortion
from ndvq_tune.report.provenance import Origin, as_of, line_that_loads, made_with, trained_on
from ndvq_tune.report.skipped import SKIPPED
from ndvq_tune.report.slices import slices, slices_caption
from ndvq_tune.report.timeline import timeline, timeline_caption
from ndvq_tune.report.wording import (
    as_typed,
    at_equal_rate,
    circumstances,
    evidence_text,
    outcome,
    params_text,
    rescues,
    sentence,
    shown_metrics,
)

ROWS = 10
SKIPPED_SHOWN = 10
_TEMPLATES = Environment(
    loader=PackageLoader("ndvq_tune.report", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write_html(
    standing: Standing, diagnosis: Diagnosis, folder: Path, pictures: Mapping[str, Showcase], *, running: bool = False
) -> Path:
    """Writes ``report.html``.

    Args:
        standing: The search.
        diagnosis: What is to be thought of it.
        folder: The results folder.
        pictures: What there is to see and hear, by the name of its trial, the recommended one first; it is embedded.
        running: Whether the search is at work; its checkpoints then come and go, and none is named.

    Returns:
        Its path.
    """
    path, typed, best = folder / "report.html", as_typed(folder), None if running else standing.best
    origin = Origin(
        as_of(standing.search, typed, datetime.now().astimezone(), running=running),
        line_that_loads(best, typed),
        trained_on(best, folder),
        () if running else code_uses(standing.recommended, folder),
    )
    content = page(standing, diagnosis, typed, pictures, origin)
    with replacing(path) as draft:
        draft.write_text(content, encoding="utf-8")
    return path


def page(
    standing: Standing,
    diagnosis: Diagnosis,
    folder: Path,
    pictures: Mapping[str, Showcase],
    origin: Origin,
) -> str:
    """The whole report as HTML.

    Args:
        standing: The search.
        diagnosis: What is to be thought of it.
        folder: The results folder, as one types it; commands name it.
        pictures: What there is to see and hear, by the name of its trial, the recommended one first.
        origin: What is known beside the records.
    """
    search, trials = standing.search, standing.ranked[:ROWS]
    moved, contest = plot(progress(standing)), Contest(standing)
    values, lines = plot(slices(contest)), plot(combinations(contest))
    return render(
        "page.html.jinja",
        search=search,
        outcome=outcome(search),
        finding=finding(standing),
        origin=origin,
        verdict=diagnosis.verdict,
        why=sentence(diagnosis.why),
        findings=[_finding(found, diagnosis, folder) for found in diagnosis.findings],
        rate_distortion=plot(rate_distortion(standing)),
        compared=compared(standing),
        baselines=baseline_columns(standing),
        small=sum(not full_fidelity(trial.result) for trial in search.trials),
        rate_distortion_caption=rate_distortion_caption(search),
        progress=moved,
        progress_caption=moved and progress_caption(standing),
        importance=plot(importance(search)),
        importance_caption=importance_caption(search),
        at_equal_rate=at_equal_rate(search),
        slices=values,
        slices_caption=values and slices_caption(contest),
        combinations=lines,
        combinations_caption=lines and combinations_caption(contest),
        first=search.goals.objectives[0],
        trials_caption=trials and trials_caption(standing, ROWS),
        trials=trials and _columns(trials, standing),
        marked=[row for row, trial in enumerate(trials) if trial is standing.best],
        repeated=confirmed_columns(standing),
        pictures=embedded(pictures),
        params={trial.name: params_text(trial) for trial in search.trials if trial.name in pictures},
        code_use=plot(code_use(origin.code_uses)),
        fit=plot(fit(standing)),
        fit_caption=fit_caption(standing),
        curves=plot(curves(standing)),
        curves_caption=curves_caption(search),
        dotted=any(not full_fidelity(report) for trial in search.trials for report in trial.reports),
        timeline=plot(timeline(search)),
        timeline_caption=timeline_caption(search),
        circumstances=circumstances(search),
        rescues=rescues(search),
        skipped_shown=SKIPPED_SHOWN,
        skipped_table=SKIPPED,
    )


def render(template: str, **content: Any) -> str:
    """A page from its template, with the library that draws its charts.

    Args:
        template: Its file's name, in the folder of this module.
        content: What it shows.
    """
    made = {"made_with": made_with(), "plotly": _packed(get_plotlyjs())}
    return _TEMPLATES.get_template(template).render(content | made)


def _finding(found: Finding, diagnosis: Diagnosis, folder: Path) -> dict[str, str]:
    """A finding in words; the one that is the reason of the verdict stands there already."""
    return {
        "sign": "" if found.sign == diagnosis.why else sentence(found.sign),
        "evidence": evidence_text(found),
        "advice": sentence(found.advice),
        "command": found.change.command(folder) if found.change else "",
    }


def plot(figure: go.Figure) -> str:
    """A figure as JSON that may stand in a script; nothing if it is empty."""
    return figure.to_json().replace("<", r"\u003c") if figure.data else ""


def _packed(script: str) -> str:
    """A script in a third of its size; browsers unpack it."""
    return base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode("ascii")


def _columns(trials: Sequence[TrialRecord], standing: Standing) -> list[Column]:
    names = [trial.name + ("" if standing.keeps(trial) else " (breaks a constraint)") for trial in trials]
    front, goals = {trial.number for trial in standing.front}, standing.search.goals
    return [
        ("trial", names),
        *parent_columns(trials),
        *metric_columns(trials, shown_metrics(standing.search)),
        *([("front", ["yes" if trial.number in front else "" for trial in trials])] if len(goals.metrics) > 1 else []),
        *param_columns(trials),
    ]
