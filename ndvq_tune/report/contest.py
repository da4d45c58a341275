"""Which trials are compared by their parameters, and which of them are the best."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ndvq_tune.distributions import Searched
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.quantities import count_text
from ndvq_tune.records import TrialRecord, full_fidelity, short_value

LEAST, MOST = 5, 500  # trials: where fewer show a pattern, chance does; more are no clearer, and make a page large
SHARE = 4  # of the trials, the best one in so many


def choice_text(value: Any) -> str:
    """A value of a choice, with digits enough that no other one of it is written alike."""
    return short_value(value, 6)


@dataclass(frozen=True)
class Contest:
    """Trials beside each other, each found once for all that draws or tells of them.

    Attributes:
        standing: Their search.
    """

    standing: Standing

    @cached_property
    def trials(self) -> tuple[TrialRecord, ...]:
        """Those that a model came of, on samples of full size, best first; none where they are too few."""
        trials = tuple(trial for trial in self.standing.ranked if full_fidelity(trial.result))
        return trials[:MOST] if len(trials) >= LEAST else ()

    @property
    def metric(self) -> str:
        """The first objective."""
        return self.standing.search.goals.objectives[0].metric

    @property
    def several(self) -> bool:
        """Whether there is more than one objective."""
        return len(self.standing.search.goals.objectives) > 1

    @property
    def winner(self) -> TrialRecord | None:
        """The recommended trial."""
        return self.standing.best

    @cached_property
    def best(self) -> tuple[TrialRecord, ...]:
        """The front of several objectives, else the best quarter."""
        if self.several:
            front = {trial.number for trial in self.standing.front}
            return tuple(trial for trial in self.trials if trial.number in front)
        return self.trials[: -(-len(self.trials) // SHARE)]

    def is_best(self, trial: TrialRecord) -> bool:
        """Whether a trial is one of these."""
        return trial.number in self._best_numbers

    @property
    def best_text(self) -> str:
        """What these are, and how many, without an article."""
        if self.several:
            return f"{count_text(len(self.best), 'trial')} on the front"
        return f"best {len(self.best)} of {len(self.trials)} trials"

    @cached_property
    def parameters(self) -> tuple[Searched, ...]:
        """What mattered most comes first; what is the same in all of these trials is left out."""
        search = self.standing.search
        places = {importance.key: place for place, importance in enumerate(search.importances)}
        varied = [parameter for parameter in search.parameters if len(self._values(parameter.key)) > 1]
        return tuple(sorted(varied, key=lambda parameter: places.get(parameter.key, len(places))))

    @cached_property
    def _best_numbers(self) -> frozenset[int]:
        return frozenset(trial.number for trial in self.best)

    def _values(self, key: str) -> set[str]:
        return {str(trial.params[key]) for trial in self.trials if key in trial.params}
