import json
import math
from dataclasses import replace

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState as OptunaState

from ndvq_tune.errors import ConfigError
from ndvq_tune.records import Rescue, Role, Stay, StopReason, TrialRecord, TrialState
from ndvq_tune.search.engine.codec import OPTUNA_STATES, changes, record_of
from tests.search.search_examples import report, space_of

BEGUN = TrialRecord(4, {"model.n_codes": 32}, space_of().complete({"model.n_codes": 32}), started=1000.5)
ENDINGS = {
    "begun": {},
    "reported": {"reports": (report(1), report(2, math.nan))},
    "saved": {"reports": (report(1),), "checkpoint": "ray/trial-0004/checkpoint_000000", "checkpoint_epoch": 1},
    "completed": {"reports": (report(9),), "state": TrialState.COMPLETED, "ended": 1012.25},
    "pruned": {"state": TrialState.PRUNED, "stop_reason": StopReason.COLLAPSE, "ended": 1012.25},
    "failed": {"state": TrialState.FAILED, "error": "RuntimeError: ä\nTraceback", "ended": 1012.25},
    "an heir": {"role": Role.EXPLOIT, "parent": 2, "rescues": (Rescue(2, "lower_beta"), Rescue(3, "impossible"))},
    "paused": {"stays": (Stay("5c1e", 8.5, 9.25),)},
    "taken up again": {"stays": (Stay("5c1e", 8.5, 9.25), Stay("77ab", 20.0))},
    "a repetition": {"role": Role.CONFIRM, "parent": 0},
}


def frozen(record: TrialRecord, attributes: dict[str, object]) -> optuna.trial.FrozenTrial:
    """A trial as Optuna gives it back from a file."""
    state = OPTUNA_STATES.get(record.state, OptunaState.RUNNING)
    value = 0.5 if state is OptunaState.COMPLETE else None
    trial = optuna.trial.create_trial(state=state, value=value, user_attrs=json.loads(json.dumps(attributes)))
    trial.number = record.number
    return trial


@pytest.mark.parametrize("fields", ENDINGS.values(), ids=ENDINGS)
def test_a_record_comes_back_from_plain_values(fields):
    record = replace(BEGUN, **fields)
    assert repr(record_of(frozen(record, changes(None, record)))) == repr(record)  # as text: NaN equals nothing


@given(st.lists(st.sampled_from(list(ENDINGS)), min_size=1, max_size=6))
def test_what_changed_is_all_that_needs_to_be_written(endings):
    before, written = BEGUN, changes(None, BEGUN)
    for ending in endings:
        record = replace(BEGUN, **ENDINGS[ending])
        written |= changes(before, record)
        before = record
        assert repr(record_of(frozen(record, written))) == repr(record)
    assert changes(before, before) == {}
    assert "config" not in changes(BEGUN, before)


def test_the_start_is_written_last_so_that_a_trial_is_whole_or_never_began():
    assert list(changes(None, replace(BEGUN, **ENDINGS["an heir"])))[-1] == "started"


def test_what_is_gone_is_written_before_what_is_new():
    """A driver that is killed in between leaves a trial with less, never with reports of two lives."""
    later = replace(BEGUN, reports=(report(1), report(2), report(3)))
    again = replace(BEGUN, reports=(later.reports[0], report(2, 0.25)))
    assert list(changes(later, again).items()) == [("report:000003", None), ("report:000002", report(2, 0.25))]


def test_a_configuration_of_another_version_names_the_trial_and_the_key():
    attributes = changes(None, BEGUN)
    attributes["config"]["model"]["n_coads"] = 3
    with pytest.raises(ConfigError, match=r"^trial-0004 in the journal: model\.n_coads: "):
        record_of(frozen(BEGUN, attributes))
