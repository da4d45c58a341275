"""Rules that stop one trial, as functions of its reports."""

import math
from collections.abc import Mapping, Sequence

from ndvq_tune.records import StopReason
from ndvq_tune.search.settings.stopping import CollapseRule, PlateauRule, StopSettings

Reports = Sequence[Mapping[str, float]]


def stop_reason(reports: Reports, settings: StopSettings) -> StopReason | None:
    """Why a trial should stop after its last report, if it should."""
    if diverged(reports):
        return StopReason.DIVERGED
    if settings.collapse and collapsed(reports, settings.collapse):
        return StopReason.COLLAPSE
    if settings.plateau and plateaued(reports, settings.plateau):
        return StopReason.PLATEAU
    return None


def diverged(reports: Reports) -> bool:
    """Whether a loss of the last report is NaN or infinite."""
    return not all(math.isfinite(reports[-1][name]) for name in ("recon_loss", "train_recon_loss"))


def collapsed(reports: Reports, rule: CollapseRule) -> bool:
    """Whether the codebook is dead after the epochs that it gets to come alive."""
    last = reports[-1]
    dead = last["codebook_usage"] < rule.usage_below or last["perplexity"] < rule.perplexity_below
    return len(reports) >= rule.after and dead


def plateaued(reports: Reports, rule: PlateauRule) -> bool:
    """Whether the last ``patience`` epochs brought the best loss down by less than a share ``min_delta``."""
    losses = [report["recon_loss"] for report in reports]
    if len(losses) <= rule.patience:
        return False
    before, recent = min(losses[: -rule.patience]), min(losses[-rule.patience :])
    return recent > before * (1 - rule.min_delta)
