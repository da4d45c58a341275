"""Searches beside each other: whether they compare, which is ahead, and in what their recommendations differ."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ndvq_tune.config.card import DataCard
from ndvq_tune.diagnosis.finding import Diagnosis
from ndvq_tune.judgement.front import front_hypervolumes
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.quantities import duration
from ndvq_tune.records import short_value
from ndvq_tune.report.card import cut_facts
from ndvq_tune.report.columns import Column
from ndvq_tune.report.provenance import card_of
from ndvq_tune.report.wording import as_typed, label, listed, metric_text
from ndvq_tune.yaml_file import flatten

SHOWN = ("recon_loss", "bits_per_element", "perplexity")
_UNKNOWN = "the recommended model is not kept, or is of an earlier release"
_DIGITS = 8  # of a fingerprint, in a table


@dataclass(frozen=True)
class Entry:
    """A search that is compared with others.

    Attributes:
        name: What it is called here: its name, or its folder where several have that name.
        folder: Its results folder, as one types it.
        standing: The search.
        diagnosis: What is to be thought of it.
        tested: The data card of its recommended model and the shape of a sample; None where that is not known.
    """

    name: str
    folder: Path
    standing: Standing
    diagnosis: Diagnosis
    tested: tuple[DataCard, Sequence[int]] | None


def entries(found: Sequence[tuple[Path, Standing, Diagnosis]]) -> tuple[Entry, ...]:
    """What is compared, from results folders and what is judged of each."""
    names = Counter(standing.search.name for _, standing, _ in found)
    return tuple(
        Entry(
            standing.search.name if names[standing.search.name] == 1 else as_typed(folder).as_posix(),
            as_typed(folder),
            standing,
            diagnosis,
            card_of(standing.best, folder),
        )
        for folder, standing, diagnosis in found
    )


def differences(compared: Sequence[Entry]) -> list[str]:
    """Why the figures of these searches do not compare, a sentence each; none where they do."""
    unknown = [entry.name for entry in compared if entry.tested is None]
    sentences = [f"What {listed(unknown)} was tested on is not known: {_UNKNOWN}."] if unknown else []
    for what, told in _MUST_AGREE.items():
        having: dict[str, list[str]] = {}
        for entry in compared:
            if text := told(entry):
                having.setdefault(text, []).append(entry.name)
        if len(having) > 1:
            parts = "; ".join(f"{text} in {listed(names)}" for text, names in having.items())
            sentences.append(f"They differ in {what}: {parts}.")
    return sentences


def ahead(compared: Sequence[Entry]) -> str:
    """Which search is ahead and by what, in a sentence, or that this cannot be told."""
    if differences(compared):
        some = "all " if len(compared) > 2 else ""
        return f"These searches do not {some}compare: where they differ, a figure of one says nothing about another's."
    if values := hypervolumes(compared):
        what, texts, costs = "the hypervolume of its front", [f"{value:#.3g}" for value in values], [-v for v in values]
    else:
        first = compared[0].standing.search.goals.objectives[0]
        what = f"{label(first.metric)} of its recommended trial"
        reached = [entry.standing.best.result[first.metric] if entry.standing.best else None for entry in compared]
        texts = [metric_text(first.metric, value) for value in reached]
        costs = [math.inf if value is None else first.cost(value) for value in reached]
    order = sorted(range(len(compared)), key=lambda place: costs[place])
    level = [place for place in order if texts[place] == texts[order[0]]]  # what cannot be seen is no lead
    if len(level) == len(order):
        return f"By {what}, {listed([entry.name for entry in compared])} are level ({texts[0]})."
    named = [f"{compared[place].name} ({texts[place]})" for place in order]
    best, others = named[: len(level)], named[len(level) :]
    return f"By {what}, {listed(best)} {'is' if len(best) == 1 else 'are'} ahead of {listed(others)}."


def hypervolumes(compared: Sequence[Entry]) -> list[float]:
    """Hypervolumes of the fronts, all from one point; none where the searches do not compare, or have one objective."""
    if differences(compared) or len(compared[0].standing.search.goals.objectives) == 1:
        return []
    return front_hypervolumes([entry.standing for entry in compared])


def search_columns(compared: Sequence[Entry]) -> list[Column]:
    """A row a search: what it recommends, how much was tried for it, and what that was tested on."""
    searches, best = [entry.standing.search for entry in compared], [entry.standing.best for entry in compared]
    volumes = hypervolumes(compared)
    results = [trial.result if trial else {} for trial in best]
    return [
        ("search", [entry.name for entry in compared]),
        *((label(name), [metric_text(name, result.get(name)) for result in results]) for name in SHOWN),
        *([("hypervolume", [f"{volume:#.3g}" for volume in volumes])] if volumes else []),
        ("trials", [f"{len(search.searched.trials):,}" for search in searches]),
        ("time", [duration(search.wall_seconds) for search in searches]),
        ("recommended", [trial.name if trial else "-" for trial in best]),
        ("test data", [entry.tested[0].test_fingerprint[:_DIGITS] if entry.tested else "-" for entry in compared]),
        ("verdict", [entry.diagnosis.verdict or "none" for entry in compared]),
        ("folder", [entry.folder.as_posix() for entry in compared]),
    ]


def setting_columns(compared: Sequence[Entry]) -> list[Column]:
    """A row a setting in which the recommended configurations differ; none where they do not, or there is only one."""
    having = [(entry.name, flatten(entry.standing.best.config.to_dict())) for entry in compared if entry.standing.best]
    keys = [
        key
        for key in dict.fromkeys(key for _, settings in having for key in settings)
        if len({str(settings.get(key, "")) for _, settings in having}) > 1
    ]
    columns = [
        (name, [short_value(settings[key]) if key in settings else "" for key in keys]) for name, settings in having
    ]
    return [("setting", keys), *columns] if keys else []


def _objectives(entry: Entry) -> str:
    return listed([f"{label(item.metric)} ({item.mode})" for item in entry.standing.search.goals.objectives])


def _samples(entry: Entry) -> str:
    if entry.tested is None:
        return ""
    card, shape = entry.tested
    return ", ".join([f"{card.test_samples:,} of {' x '.join(map(str, shape))}", *cut_facts(card.test_cut).values()])


def _normalised(entry: Entry) -> str:
    return entry.standing.best.config.data.normalise if entry.standing.best else ""


_MUST_AGREE: dict[str, Callable[[Entry], str]] = {
    "objectives": _objectives,
    "test data": lambda entry: entry.tested[0].test_fingerprint if entry.tested else "",
    "test samples": _samples,
    "training data, in whose variance recon_loss is measured": (
        lambda entry: entry.tested[0].fingerprint if entry.tested else ""
    ),
    "data.normalise, which says what that variance is of": _normalised,
}
"""What has to be the same for figures to compare; where one does not tell, that is said of it by itself."""
