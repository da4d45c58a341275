"""The recommended model beside plain methods, in a sentence and as a table."""

from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Baseline, full_fidelity
from ndvq_tune.report.columns import Column
from ndvq_tune.report.wording import label, listed, metric_text

_RATE = "bits_per_element"


def compared(standing: Standing) -> str:
    """Which plain methods the recommended model beats, and which not; empty where there is nothing to compare."""
    if not (rows := _rows(standing)):
        return ""
    model, *others = rows
    loss, bits = (metric_text(*item) for item in (("recon_loss", model.recon_loss), (_RATE, model.bits_per_element)))
    better = [_figures(other) for other in others if model.recon_loss < other.recon_loss]
    worse = [_figures(other) for other in others if not model.recon_loss < other.recon_loss]
    parts = [f"{word} than {listed(names)}" for word, names in (("better", better), ("no better", worse)) if names]
    return f"{model.name}, with a reconstruction loss of {loss} at {bits} bits per element, is {', but '.join(parts)}."


def baseline_columns(standing: Standing) -> list[Column]:
    """The columns of the recommended model, in the first row, and of each plain method; none where none is known."""
    if not (rows := _rows(standing)):
        return []
    return [
        ("method", [row.name for row in rows]),
        (label("recon_loss"), [metric_text("recon_loss", row.recon_loss) for row in rows]),
        (label(_RATE), [metric_text(_RATE, row.bits_per_element) for row in rows]),
    ]


def _rows(standing: Standing) -> list[Baseline]:
    """The model first. What was measured on smaller samples does not compare."""
    best = standing.best
    if best is None or not standing.search.baselines or not full_fidelity(best.result):
        return []
    if not best.finite("recon_loss", _RATE):
        return []
    return [Baseline(best.name, best.result["recon_loss"], best.result[_RATE]), *standing.search.baselines]


def _figures(baseline: Baseline) -> str:
    loss = metric_text("recon_loss", baseline.recon_loss)
    if baseline.bits_per_element is None:
        return f"{baseline.name} ({loss})"
    return f"{baseline.name} ({loss} at {metric_text(_RATE, baseline.bits_per_element)} bits)"
