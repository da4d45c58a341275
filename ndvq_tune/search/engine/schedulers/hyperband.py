"""Asynchronous Hyperband: brackets of successive halving, each with a longer grace period than the one before.

Li et al., 2018 (arXiv 1603.06560); brackets whose trials do not wait for each other as in Li et al., 2020 (arXiv
1810.05934).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ndvq_tune.records import TrialRecord
from ndvq_tune.search.engine.schedulers.asha import halving
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.search.space.settings.scheduler import HyperbandSettings

if TYPE_CHECKING:
    from ndvq_tune.search.engine.schedulers import Stops


def hyperband(settings: HyperbandSettings, search: SearchSettings, max_epochs: int) -> "Stops":
    """The rule of ``search.scheduler.type: hyperband``: ``asha`` within each bracket.

    Bracket b has a grace period of ``grace_period * reduction_factor**b``. Where epochs are counted, brackets that
    would begin to compare only at the last epoch do not exist.

    Args:
        settings: What the space says of it.
        search: All settings of the search: its goals, and in which units progress is counted.
        max_epochs: Most epochs of any trial.
    """
    factor = settings.reduction_factor
    grace_periods = [settings.grace_period * factor**bracket for bracket in range(settings.brackets)]
    if search.fidelity.unit == "epochs":
        grace_periods = [grace for grace in grace_periods if grace < max_epochs] or grace_periods[:1]
    brackets = [halving(grace, factor, search, max_epochs) for grace in grace_periods]

    def own_bracket(record: TrialRecord) -> int:
        return bracket_of(record.number, factor, len(brackets))

    def stops(record: TrialRecord, others: Iterable[TrialRecord]) -> bool:
        own = own_bracket(record)
        return brackets[own](record, (other for other in others if own_bracket(other) == own))

    return stops


def bracket_of(number: int, factor: int, brackets: int) -> int:
    """The bracket of a trial: how often its place among all trials, from 1, can be divided by the factor.

    So each bracket gets one in ``factor`` of the trials that the one before it passed on, evenly spread over the
    search: 6 : 2 : 1 with a factor of 3 and three brackets, about the shares of the paper.

    Args:
        number: The trial, from 0.
        factor: The reduction factor.
        brackets: How many brackets there are.

    Example:
        >>> [bracket_of(number, 3, 3) for number in range(9)]
        [0, 0, 1, 0, 0, 1, 0, 0, 2]
    """
    bracket, rest = 0, number + 1
    while bracket < brackets - 1 and rest % factor == 0:
        bracket, rest = bracket + 1, rest // factor
    return bracket
