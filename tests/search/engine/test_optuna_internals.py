"""What ``optuna_internals`` relies on. A test that fails after an upgrade of Optuna says what to mend there."""

import optuna
import pytest
from optuna.trial import TrialState

from ndvq_tune.search.engine.optuna_internals import FirstObjectiveStudy, running_trial, set_intermediate_value


@pytest.fixture
def study() -> FirstObjectiveStudy:
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage, study_name="two", directions=["maximize", "minimize"])
    return FirstObjectiveStudy("two", storage)


def test_a_study_of_several_objectives_still_refuses_to_have_a_direction_and_ours_has_the_first(study):
    with pytest.raises(RuntimeError):
        _ = optuna.load_study(study_name="two", storage=study._storage).direction
    assert study.direction is optuna.study.StudyDirection.MAXIMIZE


def test_tpe_asks_a_study_for_its_direction_when_it_ranks_pruned_trials(study, monkeypatch):
    asked = []
    monkeypatch.setattr(FirstObjectiveStudy, "direction", property(lambda self: asked.append(1) or self.directions[0]))
    study.sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=0)
    for _ in range(2):
        trial = study.ask({"a": optuna.distributions.FloatDistribution(0, 1)})
        set_intermediate_value(study, trial, 1, trial.params["a"])
        study.tell(trial, state=TrialState.PRUNED)
    study.ask({"a": optuna.distributions.FloatDistribution(0, 1)})
    assert asked, "TPE no longer asks for Study.direction: is FirstObjectiveStudy still needed?"


def test_intermediate_values_are_kept_though_trial_report_refuses_several_objectives(study):
    trial = study.ask()
    with pytest.raises(NotImplementedError):
        trial.report(0.5, 3)
    set_intermediate_value(study, trial, 3, 0.5)
    assert study.trials[0].intermediate_values == {3: 0.5}, "storages no longer take set_trial_intermediate_value"


def test_a_running_trial_of_an_earlier_session_goes_on(study):
    study.ask()
    again = running_trial(study, study.get_trials(deepcopy=False)[0])
    again.set_user_attr("goes", "on")
    study.tell(again, [1.0, 2.0])
    assert study.trials[0].user_attrs == {"goes": "on"}, "optuna.Trial(study, FrozenTrial._trial_id) no longer works"
    assert study.trials[0].state is TrialState.COMPLETE
