"""What a search needs of Optuna that Optuna does not offer; here alone.

``tests/search/engine/test_optuna_internals.py`` says what each of these relies on, for when an upgrade breaks it.
"""

import optuna
from optuna.trial import FrozenTrial


class FirstObjectiveStudy(optuna.Study):
    """A study whose intermediate values measure the first objective, also where there are several.

    Optuna's TPE ranks pruned trials by intermediate values, but asks for ``direction``, which a study with several
    objectives refuses to have.
    """

    @property
    def direction(self) -> optuna.study.StudyDirection:
        """That of the first objective."""
        return self.directions[0]


def running_trial(study: optuna.Study, frozen: FrozenTrial) -> optuna.Trial:
    """A trial that an earlier session left running, to go on with. Optuna gives one only to who asked for it."""
    return optuna.Trial(study, frozen._trial_id)


def set_intermediate_value(study: optuna.Study, trial: optuna.Trial, step: int, value: float) -> None:
    """``Trial.report``, which refuses studies with several objectives; the storage itself does not mind.

    Args:
        study: The study, of any number of objectives.
        trial: A running trial of it.
        step: The epoch, from 1.
        value: Of the first objective.
    """
    study._storage.set_trial_intermediate_value(trial._trial_id, step, value)
