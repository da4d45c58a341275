"""Rules that stop one trial, or ask for its rescue, as functions of its reports.

A rule says of all reports of a trial so far, the settings ``search.stop`` and what was done to rescue the trial
whether it should end. It is asked after every report, in the order of ``RULES``, where it is registered by the reason
that a trial's state then has; the first that applies ends the trial. Lanes ask ``needs_rescue`` before that.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from ndvq_tune.records import Rescue, StopReason, fidelity
from ndvq_tune.search.space.settings.stopping import CollapseRule, CostRule, PlateauRule, StopSettings

Reports = Sequence[Mapping[str, float]]

IMPOSSIBLE = "impossible"
"""The action of a rescue that was due, but that the quantizer has no codes for: nothing was done."""

_RISE = 1.1


def stop_reason(reports: Reports, settings: StopSettings, rescues: Sequence[Rescue] = ()) -> StopReason | None:
    """Why a trial should stop after its last report, if it should.

    Args:
        reports: All reports so far, oldest first, at least one.
        settings: The rules.
        rescues: What was done to the trial's codebook so far, in order. A collapse stops the trial only when no rescue
            is left.
    """
    return next((reason for reason, applies in RULES.items() if applies(reports, settings, rescues)), None)


def needs_rescue(reports: Reports, rule: CollapseRule, rescues: Sequence[Rescue] = ()) -> bool:
    """Whether a trial's codebook should be rescued after its last report, rather than the trial stopped.

    Args:
        reports: All reports so far, oldest first, at least one.
        rule: When a codebook counts as dead, and how often it may be rescued.
        rescues: What was done to it so far, in order.
    """
    return not diverged(reports) and _rescues_left(rule, rescues) and collapsed(reports, rule, rescues)


def diverged(reports: Reports) -> bool:
    """Whether a loss of the last report is NaN or infinite."""
    return not all(math.isfinite(reports[-1][name]) for name in ("recon_loss", "train_recon_loss"))


def collapsed(reports: Reports, rule: CollapseRule, rescues: Sequence[Rescue] = ()) -> bool:
    """Whether the codebook is dead after the epochs that it gets to come alive, and not on its way up.

    Only reports since the last rescue count. There must be ``rule.after`` of them, and the last must be below
    ``rule.usage_below`` or ``rule.perplexity_below``. A codebook whose usage or perplexity rose by more than a tenth
    from the report before to the last gets one more epoch, and so on for as long as it rises like that.

    Args:
        reports: All reports so far, oldest first.
        rule: When a codebook counts as dead.
        rescues: What was done to it so far, in order.
    """
    since = _since_rescue(reports, rescues)
    if len(since) < rule.after:
        return False
    last = since[-1]
    dead = last["codebook_usage"] < rule.usage_below or last["perplexity"] < rule.perplexity_below
    return dead and not _rising(since[-2:])


def plateaued(reports: Reports, rule: PlateauRule, rescues: Sequence[Rescue] = ()) -> bool:
    """Whether the last ``patience`` epochs brought the best loss down by less than a share ``min_delta``.

    Only reports since the last rescue count, and only those of the last report's fidelity: losses on samples of
    different sizes do not compare.

    Args:
        reports: All reports so far, oldest first, at least one.
        rule: Its ``patience`` in epochs, and ``min_delta`` as a share.
        rescues: What was done to the codebook so far, in order.
    """
    share = fidelity(reports[-1])
    losses = [report["recon_loss"] for report in _since_rescue(reports, rescues) if fidelity(report) == share]
    if len(losses) <= rule.patience:
        return False
    before, recent = min(losses[: -rule.patience]), min(losses[-rule.patience :])
    return recent > before * (1 - rule.min_delta)


def costs_too_much(reports: Reports, rule: CostRule) -> bool:
    """Whether the training time so far has cost ``rule.at_most``."""
    return _seconds(reports) / 3600 * rule.per_hour >= rule.at_most


def _rescues_left(rule: CollapseRule, rescues: Sequence[Rescue]) -> bool:
    impossible = any(rescue.action == IMPOSSIBLE for rescue in rescues)
    return rule.on_collapse != "stop" and not impossible and len(rescues) < rule.rescues


def _since_rescue(reports: Reports, rescues: Sequence[Rescue]) -> Reports:
    rescued = max((rescue.epoch for rescue in rescues if rescue.action != IMPOSSIBLE), default=0)
    return [report for report in reports if report["epoch"] > rescued]


def _rising(reports: Reports) -> bool:
    """Whether use of the codes rose clearly from the first to the last of these."""
    first, last = reports[0], reports[-1]
    return any(last[name] > _RISE * first[name] for name in ("codebook_usage", "perplexity"))


def _seconds(reports: Reports) -> float:
    return reports[-1].get("training_seconds", 0.0)


def _beyond_rescue(reports: Reports, settings: StopSettings, rescues: Sequence[Rescue]) -> bool:
    rule = settings.collapse
    return rule is not None and not _rescues_left(rule, rescues) and collapsed(reports, rule, rescues)


RULES: dict[StopReason, Callable[[Reports, StopSettings, Sequence[Rescue]], bool]] = {
    StopReason.DIVERGED: lambda reports, settings, rescues: diverged(reports),
    StopReason.COLLAPSE: _beyond_rescue,
    StopReason.PLATEAU: lambda reports, settings, rescues: (
        settings.plateau is not None and plateaued(reports, settings.plateau, rescues)
    ),
    StopReason.TRIAL_TIME: lambda reports, settings, rescues: (
        settings.trial_time is not None and _seconds(reports) >= settings.trial_time
    ),
    StopReason.COST: lambda reports, settings, rescues: (
        settings.cost is not None and costs_too_much(reports, settings.cost)
    ),
}
"""Whether each reason applies, in the order in which they are asked."""
