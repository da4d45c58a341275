"""How the trials of a search stand: what is on offer, the front, the ranking, and the one to recommend."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ndvq_tune.judgement.comparison import measured
from ndvq_tune.judgement.lineage import representatives
from ndvq_tune.judgement.paired import Lead, lead
from ndvq_tune.judgement.pareto import front_ranks, knee
from ndvq_tune.judgement.repetitions import Confirmed, confirmed
from ndvq_tune.records import SearchRecord, TrialRecord


@dataclass(frozen=True)
class Standing:
    """A search with all that is judged of it. Each judgement is made once, when it is first asked for.

    Make one for a state of a search, and hand it on to whoever shows or decides something.

    Attributes:
        search: The search.
    """

    search: SearchRecord

    @cached_property
    def eligible(self) -> tuple[TrialRecord, ...]:
        """Trials that a model came of: sound, and measured in every objective.

        A trial that was stopped early is as good as its numbers, or as those of the trial that brought it to its end.
        Repetitions measure the trial that they repeat, and are not on offer themselves.
        """
        return tuple(
            trial
            for trial in representatives(self.search.trials, self.search.goals).values()
            if trial.has_model and measured(trial, self.search.goals)
        )

    @cached_property
    def offered(self) -> tuple[TrialRecord, ...]:
        """Eligible trials that keep the constraints, or all of them where none does.

        A model over the bit budget is no offer as long as there is one within it.
        """
        return tuple(trial for trial in self.eligible if self.keeps(trial)) or self.eligible

    @cached_property
    def ranked(self) -> tuple[TrialRecord, ...]:
        """Eligible trials by the first objective, best first; those that keep the constraints before all others."""
        return tuple(sorted(self.eligible, key=lambda trial: (not self.keeps(trial), *self.costs(trial), trial.number)))

    @cached_property
    def front(self) -> tuple[TrialRecord, ...]:
        """The Pareto front of what is offered: no other trial beats these in one objective without losing in another.

        They are in the order of the last objective, best first. The weights of all of them are there to be taken.
        """
        offered = [trial for trial in self.offered if trial.weights is not None]
        ranks = front_ranks([self.costs(trial) for trial in offered])
        front = [trial for trial, rank in zip(offered, ranks, strict=True) if rank == 0]
        return tuple(sorted(front, key=lambda trial: (self.costs(trial)[::-1], trial.number)))

    @cached_property
    def confirmed(self) -> tuple[Confirmed, ...]:
        """What was repeated with other seeds, the best mean of the first objective first."""
        return confirmed(self.search)

    @cached_property
    def judged(self) -> Mapping[int, Mapping[str, float]]:
        """The objectives of each eligible trial, by its number: means where it was repeated, else its own result."""
        names = self.search.goals.metrics
        means = {item.trial.number: dict(zip(names, item.means, strict=True)) for item in self.confirmed}
        return {trial.number: means.get(trial.number, trial.result) for trial in self.eligible}

    @cached_property
    def best(self) -> TrialRecord | None:
        """The trial to recommend: the knee of the front, which for one objective is its best value.

        Trials that were repeated with other seeds are judged by their means, wherever these put them. With one
        objective, the recommended trial is the repeated one that is most probably the best.
        """
        front = self.front
        if len(self.search.goals.objectives) == 1:
            offered = {trial.number for trial in self.offered if trial.weights is not None}
            tried = [item for item in self.confirmed if item.trial.number in offered]
            front = (max(tried, key=lambda item: item.probability).trial,) if tried else front
        if not front:
            return None
        return front[knee([self.search.goals.costs(self.judged[trial.number]) for trial in front])]

    @cached_property
    def recommended(self) -> tuple[TrialRecord, ...]:
        """The trial to recommend, then the rest of the front; after repetitions the first need not be on the front."""
        return () if self.best is None else (self.best, *(trial for trial in self.front if trial is not self.best))

    @cached_property
    def in_doubt(self) -> tuple[Lead, ...]:
        """Leads of the recommended trial that may be chance, over trials that are no worse in any other objective.

        Only of the trials whose checkpoints are kept, and where the first objective is ``recon_loss``. What was
        repeated with other seeds is judged by these.
        """
        best, first = self.best, self.search.goals.metrics[0]
        if best is None or first != "recon_loss" or any(item.trial.number == best.number for item in self.confirmed):
            return ()
        rivals = (trial for trial in self.ranked if trial is not best and trial in self.offered)
        alike = (
            trial
            for trial in rivals
            if all(its <= own for its, own in zip(self.costs(trial)[1:], self.costs(best)[1:], strict=True))
        )
        leads = (lead(best, trial) for trial in alike)
        return tuple(found for found in leads if found is not None and not found.certain)

    def keeps(self, trial: TrialRecord) -> bool:
        """Whether a trial keeps every constraint."""
        return self.search.goals.kept(trial.result)

    def costs(self, trial: TrialRecord) -> tuple[float, ...]:
        """The objectives of a trial, turned so that less is better."""
        return self.search.goals.costs(trial.result)
