"""Values in the words of a reader: short, with units, the same in the terminal and in the report."""

import math

from ndvq_tune.records import SearchRecord, TrialRecord, TrialState, short_name, short_value
from ndvq_tune.report.ranking import best, pareto

LABELS = {"codebook_usage": "usage", "bits_per_element": "bits", "entropy_bits_per_element": "entropy bits"}
SHOWN = ("recon_loss", "psnr", "perplexity", "codebook_usage", "bits_per_element")


def label(metric: str) -> str:
    """A metric's short name for the head of a column."""
    return LABELS.get(metric, metric)


def metric_text(metric: str, value: float | None) -> str:
    """A metric's value as a reader wants it."""
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


def shown_metrics(search: SearchRecord) -> list[str]:
    """The metrics of a table of trials: the objectives first, then the usual ones."""
    return list(dict.fromkeys([*(name for name, _ in search.objectives), *SHOWN]))


def params_text(trial: TrialRecord) -> str:
    """What the search chose for a trial, in one line."""
    return ", ".join(f"{short_name(key)} {short_value(value)}" for key, value in trial.params.items())


def duration(seconds: float) -> str:
    """A time span in its two largest units."""
    whole = round(seconds)
    for unit, size, lower, lower_size in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // lower_size} {lower}"
    return f"{whole} s"


def count_text(count: int, noun: str) -> str:
    """A number of things: ``1 trial``, ``3 trials``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def outcome(search: SearchRecord) -> str:
    """How many trials there were and what became of them, in one sentence without its full stop."""
    words = {TrialState.COMPLETED: "completed", TrialState.PRUNED: "stopped early", TrialState.FAILED: "failed"}
    words[TrialState.RUNNING] = "unfinished"
    parts = [f"{search.count(state)} {word}" for state, word in words.items() if search.count(state)]
    return f"{count_text(len(search.trials), 'trial')} in {duration(search.wall_seconds)}" + (
        f": {', '.join(parts)}" if parts else ""
    )


def stop_reasons(search: SearchRecord) -> dict[str, int]:
    """How often each reason stopped a trial, the most frequent first."""
    reasons = [str(trial.stop_reason) for trial in search.trials if trial.stop_reason is not None]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons), key=lambda r: (-reasons.count(r), r))}


def finding(search: SearchRecord) -> str:
    """What was found, in words."""
    winner = best(search)
    if winner is None:
        return "No trial has led to a model yet."
    values = winner.metrics
    text = f"{winner.name} is the one to take: " if len(search.trials) > 1 else f"{winner.name}: "
    parts = [f"reconstruction loss {metric_text('recon_loss', values.get('recon_loss'))}"]
    if winner.finite("psnr"):
        parts[0] += f" ({metric_text('psnr', values['psnr'])} dB)"
    if winner.finite("bits_per_element"):
        parts[0] += f" at {metric_text('bits_per_element', values['bits_per_element'])} bits per element"
    if winner.finite("codebook_usage"):
        parts.append(f"{metric_text('codebook_usage', values['codebook_usage'])} of its codes in use")
    return text + ", with ".join(parts) + "." + _range(search)


def _range(search: SearchRecord) -> str:
    front = pareto(search)
    if len(front) < 2:
        return ""
    ends = " to ".join(
        " and ".join(f"{label(name)} {metric_text(name, trial.metrics[name])}" for name, _ in search.objectives)
        for trial in (front[0], front[-1])
    )
    return f" It is the knee of a front of {len(front)} trials, from {ends}."
