import math

import pytest

from ndvq_tune.config import RunConfig
from ndvq_tune.goals import Goals
from ndvq_tune.records import SearchRecord, StopReason, TrialRecord, TrialState, number_of, short_name, short_value


def trial(number: int = 0, *reports: dict[str, float], state: TrialState = TrialState.RUNNING) -> TrialRecord:
    return TrialRecord(number, {}, RunConfig(), state=state, reports=reports)


@pytest.mark.parametrize("state", TrialState)
def test_every_state_but_running_is_final(state):
    assert state.final == (state != "running")


@pytest.mark.parametrize(("number", "name"), [(0, "trial-0000"), (7, "trial-0007"), (12345, "trial-12345")])
def test_a_name_tells_its_number(number, name):
    assert trial(number).name == name
    assert number_of(name) == number


def test_metrics_are_those_of_the_last_report():
    assert trial(0, {"epoch": 1, "psnr": 10.0}, {"epoch": 2, "psnr": 12.0}).metrics == {"epoch": 2, "psnr": 12.0}
    assert trial().metrics == {}


def test_finite_asks_for_every_name():
    record = trial(0, {"psnr": 1.0, "recon_loss": math.nan, "perplexity": math.inf})
    assert record.finite("psnr")
    assert record.finite()
    assert not record.finite("psnr", "recon_loss")
    assert not record.finite("perplexity")
    assert not record.finite("never_reported")


@pytest.mark.parametrize(
    ("key", "name"), [("model.n_codes", "n_codes"), ("model.attention.n_head", "attention.n_head")]
)
def test_short_names_drop_the_section(key, name):
    assert short_name(key) == name


def test_a_search_counts_its_trials_by_state():
    states = [TrialState.COMPLETED, TrialState.PRUNED, TrialState.PRUNED]
    search = SearchRecord("name", tuple(trial(i, state=state) for i, state in enumerate(states)), Goals(()))
    assert [search.count(state) for state in TrialState] == [0, 1, 2, 0]


def test_short_values():
    values = ([2, 4, 4], 0.000312345, "axial", 512)
    assert [short_value(value) for value in values] == ["2x4x4", "0.000312", "axial", "512"]
    assert short_value(["psnr", "ssim"]) == "psnr, ssim"
    assert short_value((0.000312347, 1), digits=5) == "0.00031235x1"


@pytest.mark.parametrize(
    ("state", "reason", "sound"),
    [
        (TrialState.COMPLETED, None, True),
        (TrialState.PRUNED, StopReason.PLATEAU, True),
        (TrialState.PRUNED, StopReason.DIVERGED, False),
        (TrialState.FAILED, None, False),
    ],
)
def test_numbers_of_failed_and_diverged_trials_mean_nothing(state, reason, sound):
    assert TrialRecord(0, {}, RunConfig(), state=state, stop_reason=reason).sound == sound
