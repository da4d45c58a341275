"""Population based training (Jaderberg et al., 2017, arXiv 1711.09846).

A trial among the worst ends, and a new one goes on from the weights of one of the best, with settings a little changed.
"""

import math
import random as randomness
from collections.abc import Iterable, Mapping
from typing import Any

from ndvq_tune.distributions import Choice
from ndvq_tune.judgement.comparison import place
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.drawing import drawn, neighbour, within
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.search.space.settings.scheduler import PbtSettings

MUTABLE = frozenset(
    {
        "model.attention.dropout",
        "model.codebook_beta",
        "model.dropout",
        "model.ema_decay",
        "model.quantizer.entropy_weight",
        "model.quantizer.restart_threshold",
        "training.adam_learning_rate",
        "training.beta1",
        "training.beta2",
        "training.eps",
        "training.gradient_clip",
        "training.learning_rate",
        "training.loss.recon_loss_factor",
        "training.loss.spectral_weight",
        "training.loss.ssim_weight",
        "training.optimizer.momentum",
        "training.optimizer.newton_schulz_steps",
        "training.weight_decay",
    }
)
"""Parameters that can change in the middle of training: no tensor's shape depends on them."""


def source_of(record: TrialRecord, others: Iterable[TrialRecord], search: SearchSettings) -> TrialRecord | None:
    """The trial whose weights are worth more than those of a trial whose last report is new; none if it is to go on.

    Trials are compared after every ``interval`` epochs, by what they had reported at that epoch, as soon as enough
    have for the worst share to be one trial. The same records give the same trial.

    Args:
        record: The trial.
        others: All other trials that search, finished or not.
        search: All settings of the search; where its scheduler is not ``pbt`` there is no such trial.

    Returns:
        One of the best share by chance, of those that are sound and have a checkpoint, where the trial is among the
        worst share.
    """
    settings, epoch = search.scheduler, int(record.metrics["epoch"])
    if not isinstance(settings, PbtSettings) or epoch % settings.interval:
        return None
    if epoch >= record.config.training.max_epochs:
        return None
    members = {member.number: member for member in (record, *others)}
    places = _places(members.values(), epoch, search)
    if len(places) < math.ceil(1 / settings.quantile):
        return None
    order = sorted(places, key=lambda number: (places[number], number))
    share = max(1, int(len(order) * settings.quantile))
    if record.number not in order[-share:]:
        return None
    best = [members[number] for number in order[:share] if places[number] < places[record.number]]
    sources = [member for member in best if member.sound and member.checkpoint is not None]
    return randomness.Random(f"{search.seed}/{record.number}/{epoch}").choice(sources) if sources else None


def perturbed(params: Mapping[str, Any], space: SearchSpace, random: randomness.Random) -> dict[str, Any]:
    """Parameters with those in ``MUTABLE`` a little changed, each within what the space allows.

    Each is drawn anew with the probability ``resample``. Otherwise a number is multiplied or divided by ``factor``, and
    a choice becomes its neighbour in the list. A parameter that decides whether others exist stays as it is.

    Args:
        params: What the search chose, by full key path.
        space: The space; its scheduler is ``pbt``.
        random: Where chance comes from.
    """
    settings = space.search.scheduler
    assert isinstance(settings, PbtSettings)
    deciding = {key for parameter in space.searched for key in parameter.when}
    changed = dict(params)
    for parameter in space.searched:
        key, distribution = parameter.key, parameter.distribution
        if key not in params or key not in MUTABLE or key in deciding:
            continue
        if random.random() < settings.resample:
            changed[key] = drawn(distribution, random)
        elif isinstance(distribution, Choice):
            changed[key] = neighbour(distribution, params[key], random)
        else:
            factor = random.choice((settings.factor, 1 / settings.factor))
            changed[key] = within(distribution, params[key] * factor)
    return changed


def _places(members: Iterable[TrialRecord], epoch: int, search: SearchSettings) -> dict[int, int]:
    """How many are better than each of those trials that have a report at an epoch, by number."""
    reports = {member.number: report for member in members for report in member.reports if report["epoch"] == epoch}
    everyone = list(reports.values())
    return {number: place(report, everyone, search.goals) for number, report in reports.items()}
