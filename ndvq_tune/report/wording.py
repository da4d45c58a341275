"""Values in the words of a reader: short, with units, the same in the terminal and in the report."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ndvq_tune.diagnosis.finding import Diagnosis, Finding
from ndvq_tune.metrics import METRICS
from ndvq_tune.quantities import count_text, duration
from ndvq_tune.records import Rescue, Role, SearchRecord, TrialRecord, TrialState, short_name, short_value

LABELS = {"codebook_usage": "usage", "bits_per_element": "bits", "entropy_bits_per_element": "entropy bits"}
ENDED = {
    "until": "its target was reached",
    "stall": "the front no longer moved",
    "time_budget": "its time was up",
    "errors": "nothing but the same error came of its trials",
}
ACTIONS = {"restart_codes": "codes restarted", "lower_beta": "codebook_beta lowered"}
ORIGINS = {Role.EXPLOIT: "goes on from", Role.FINISH: "goes on to the end of", Role.CONFIRM: "repeats"}
USAGE = "codebook_usage"
MATTERED, LEAST = 3, 0.05  # parameters that are named, and what they surely explain
ERRORS = 2  # different ones that are quoted
SHOWN = ("recon_loss", "psnr", "perplexity", "codebook_usage", "bits_per_element")


def label(metric: str) -> str:
    """A metric's short name for the head of a column."""
    return LABELS.get(metric, metric)


def metric_text(metric: str, value: float | None) -> str:
    """A metric's value with as many digits as matter, shares in percent; ``-`` where it is missing or not finite.

    Example:
        >>> metric_text("codebook_usage", 0.874), metric_text("recon_loss", 0.012345), metric_text("psnr", None)
        ('87%', '0.0123', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    match metric:
        case "psnr":
            return f"{value:.1f}"
        case "perplexity":
            return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
        case "codebook_usage":
            return f"{100 * value:.0f}%"
        case "parameters" | "peak_memory_bytes":
            return f"{value:,.0f}"
        case _:
            return f"{value:#.3g}".rstrip(".")


def listed(parts: Sequence[str]) -> str:
    """Parts of a sentence, one after the other.

    Example:
        >>> listed(["mean", "bicubic", "JPEG"])
        'mean, bicubic and JPEG'
    """
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def probability_text(probability: float) -> str:
    """A probability in percent, never as a certainty: ``<1%`` and ``>99%`` at the ends, ``-`` for NaN."""
    if math.isnan(probability):
        return "-"
    return "<1%" if probability < 0.005 else ">99%" if probability > 0.995 else f"{probability:.0%}"


def shown_metrics(search: SearchRecord) -> list[str]:
    """The metrics of a table of trials: the objectives first, then the usual ones."""
    return list(dict.fromkeys([*search.goals.metrics, *SHOWN]))


def as_typed(folder: Path) -> Path:
    """A folder as one would type it here."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def sentence(text: str) -> str:
    """A sentence that begins and ends as one.

    Example:
        >>> sentence("its loss still fell")
        'Its loss still fell.'
    """
    return f"{text[:1].upper()}{text[1:]}."


def verdict_text(diagnosis: Diagnosis) -> str:
    """The verdict on the recommended model, and why."""
    return f"Verdict: {diagnosis.verdict or 'none'}. {sentence(diagnosis.why)}"


def evidence_text(finding: Finding) -> str:
    """The number behind a finding, its threshold, and how far it can be trusted.

    Example:
        >>> from ndvq_tune.diagnosis.finding import Confidence, Evidence
        >>> few = Evidence("test samples", 3, 8, "trial-0007")
        >>> evidence_text(Finding("few", "few samples", few, Confidence.HIGH, "take more"))
        'trial-0007: test samples 3, threshold 8; confidence high'
    """
    evidence = finding.evidence
    of = f"{evidence.trial}: " if evidence.trial else ""
    return (
        f"{of}{evidence.figure} {evidence.value:.3g}, threshold {evidence.threshold:.3g}; "
        f"confidence {finding.confidence}"
    )


def params_text(trial: TrialRecord) -> str:
    """What the search chose for a trial, in one line."""
    return ", ".join(f"{short_name(key)} {short_value(value)}" for key, value in trial.params.items())


def origin_text(trial: TrialRecord) -> str:
    """What a trial has to do with the one that it comes from; nothing where it comes from none."""
    return f"{ORIGINS[trial.role]} {trial.parent_name}" if trial.role in ORIGINS else ""


def outcome(search: SearchRecord) -> str:
    """How many trials there were and what became of them, in one sentence without its full stop."""
    words = {TrialState.COMPLETED: "completed", TrialState.PRUNED: "stopped early", TrialState.FAILED: "failed"}
    words[TrialState.RUNNING] = "unfinished"
    trials = search.searched
    parts = [f"{trials.count(state)} {word}" for state, word in words.items() if trials.count(state)]
    finished, repetitions = (search.count_role(role) for role in (Role.FINISH, Role.CONFIRM))
    return (
        f"{count_text(len(trials.trials), 'trial')} in {duration(search.wall_seconds)}"
        + (f": {', '.join(parts)}" if parts else "")
        + (f"; {finished} of them then trained to the end" if finished else "")
        + (f"; {count_text(repetitions, 'repetition')}" if repetitions else "")
    )


def stop_reasons(search: SearchRecord) -> dict[str, int]:
    """How often each reason stopped a trial, the most frequent first."""
    trials = search.searched.trials
    return _most_frequent_first(Counter(str(trial.stop_reason) for trial in trials if trial.stop_reason is not None))


def circumstances(search: SearchRecord) -> list[str]:
    """What a reader has to know of how the search went, in a few lines; none where nothing was unusual."""
    lines = []
    if search.ended_by is not None:
        lines.append(f"ended early: {ENDED.get(search.ended_by, search.ended_by)}")
    if reasons := stop_reasons(search):
        lines.append("stopped early by " + ", ".join(f"{name} {count}" for name, count in reasons.items()))
    if search.rejected:
        ruled_out = count_text(sum(search.rejected.values()), "configuration")
        reasons = _most_frequent_first(search.rejected)
        parts = ", ".join(f"{count} {name}" for name, count in reasons.items())
        lines.append(f"{ruled_out} ruled out before training: {parts}")
    return lines + left_out(search)


def left_out(search: SearchRecord) -> list[str]:
    """How many trials could not be read, and what this version does not know of them; a line for each reason."""
    reasons = _most_frequent_first(search.unreadable)
    return [f"left out {count_text(count, 'trial')} that cannot be read: {why}" for why, count in reasons.items()]


def mattered(search: SearchRecord) -> str:
    """The parameters that mattered most, with intervals, in a sentence; empty where none surely did.

    One that surely explains a few percent is no news while another may explain half.
    """
    sure = [importance for importance in search.importances if importance.low >= LEAST][:MATTERED]
    shares = [f"{short_name(i.key)} {i.share:.0%} ({i.low:.0%} to {i.high:.0%})" for i in sure]
    return f"What mattered most{at_equal_rate(search)}: {', '.join(shares)}." if shares else ""


def failures(search: SearchRecord) -> list[str]:
    """The most frequent errors of trials, by their first lines."""
    errors = Counter(trial.error.partition("\n")[0] for trial in search.searched.trials if trial.error)
    return [f"{count_text(count, 'trial')} failed: {error}" for error, count in errors.most_common(ERRORS)]


def at_equal_rate(search: SearchRecord) -> str:
    """What importances hold constant."""
    known = [label(name) for name in search.goals.metrics if METRICS[name].constant]
    return f" at equal {known[0]}" if known else ""


def rescues(search: SearchRecord) -> list[str]:
    """Each rescue of a codebook: of which trial, when, how, and what became of its use."""
    return [
        f"{trial.name}: {rescue_text(trial, rescue)}, {metric_text(USAGE, trial.metrics.get(USAGE))} at last"
        for trial in search.trials
        for rescue in trial.rescues
    ]


def rescue_text(trial: TrialRecord, rescue: Rescue) -> str:
    """A rescue in a few words."""
    usage = {report["epoch"]: report.get(USAGE) for report in trial.reports}.get(rescue.epoch)
    action = ACTIONS.get(rescue.action, rescue.action)
    return f"{action} after epoch {rescue.epoch} at {metric_text(USAGE, usage)} usage"


def _most_frequent_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
