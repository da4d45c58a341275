import math
from dataclasses import replace

import numpy as np
import pytest

from ndvq_tune.config import RunConfig
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, SearchRecord, StopReason, TrialRecord, TrialState
from ndvq_tune.search.engine.ending import failing, reached, stalled
from ndvq_tune.search.space.settings import SearchSettings
from tests.search.search_examples import TWO_OBJECTIVES, report


def trial(number: int, *, state: TrialState = TrialState.COMPLETED, **metrics: float) -> TrialRecord:
    reports = (report(1, **metrics),) if metrics else ()
    return TrialRecord(number, {}, RunConfig(), state, reports, checkpoint="checkpoint", ended=1000.0 + number)


def settings(**changes) -> SearchSettings:
    return SearchSettings.model_validate(changes)


UNTIL = settings(until={"recon_loss": 0.02, "psnr": 30}, constraints=[{"metric": "codebook_usage", "at_least": 0.5}])
GOOD = {"recon_loss": 0.02, "psnr": 30.0, "codebook_usage": 0.5}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"recon_loss": 0.021}, False),
        ({"psnr": 29.9}, False),
        ({"psnr": math.nan}, False),
        ({"codebook_usage": 0.49}, False),
        ({"codebook_usage": math.nan}, False),
        ({"fidelity": 0.25}, False),
    ],
)
def test_a_target_is_reached_in_every_metric_under_all_constraints(changes, expected):
    assert reached([trial(0, recon_loss=0.9), trial(1, **(GOOD | changes))], UNTIL) is expected


def test_a_target_can_be_reached_by_a_trial_that_still_runs_but_not_by_an_unsound_one():
    assert reached([trial(0, state=TrialState.RUNNING, **GOOD)], UNTIL)
    assert not reached([trial(0, state=TrialState.FAILED, **GOOD)], UNTIL)
    assert not reached([replace(trial(0, **GOOD), stop_reason=StopReason.DIVERGED)], UNTIL)
    assert not reached([trial(0, state=TrialState.RUNNING)], UNTIL)


def test_no_target_is_never_reached():
    assert not reached([trial(0, **GOOD)], settings())


def losses(*values: float) -> list[TrialRecord]:
    return [trial(number, recon_loss=value) for number, value in enumerate(values)]


def test_a_search_stalls_after_so_many_trials_that_are_no_better():
    search = settings(stall=2)
    history = losses(0.5, 0.6, 0.4, 0.4, 0.45, 0.3)
    assert [stalled(history[:count], search) for count in range(7)] == [False] * 5 + [True, False]
    assert not stalled(history[:5], settings())


def test_trials_count_in_the_order_in_which_they_ended():
    better_but_earlier = replace(trial(9, recon_loss=0.1), ended=1.0)
    assert stalled([*losses(0.5, 0.6), better_but_earlier], settings(stall=2))
    assert not stalled([*losses(0.5, 0.6), trial(9, recon_loss=0.1)], settings(stall=2))


def test_what_failed_or_was_measured_on_small_samples_moves_nothing_but_counts():
    small = trial(1, recon_loss=0.1, fidelity=0.25)
    failed = trial(2, state=TrialState.FAILED, recon_loss=0.1)
    assert stalled([*losses(0.5), small, failed], settings(stall=2))
    assert stalled([*losses(0.5), trial(1), trial(2)], settings(stall=2))


def test_running_trials_and_repetitions_do_not_count():
    running = [trial(number, state=TrialState.RUNNING, recon_loss=0.9) for number in (1, 2)]
    repeated = [replace(trial(number, recon_loss=0.9), role=Role.CONFIRM) for number in (3, 4)]
    assert not stalled([*losses(0.5), *running, *repeated], settings(stall=2))


def test_one_that_breaks_a_constraint_moves_the_front_only_while_none_keeps_them():
    search = settings(stall=1, constraints=[{"metric": "codebook_usage", "at_least": 0.5}])
    bad = [trial(0, recon_loss=0.5, codebook_usage=0.1), trial(1, recon_loss=0.5, codebook_usage=0.2)]
    assert not stalled(bad, search)
    kept = trial(2, recon_loss=0.9, codebook_usage=0.6)
    assert not stalled([*bad, kept], search)
    assert stalled([*bad, kept, trial(3, recon_loss=0.1, codebook_usage=0.4)], search)


def test_the_front_of_the_report_does_not_change_while_a_search_stalls():
    """Against the front that is shown, on random histories: stalled says exactly when it stayed the same."""
    search = settings(stall=3, **TWO_OBJECTIVES)
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(40):
        values = rng.random((12, 3)).round(1)
        history = [
            trial(number, recon_loss=loss, bits_per_element=bits * 0.5, codebook_usage=0.2)
            for number, (loss, bits, _) in enumerate(values)
        ]
        for count in range(3, 13):
            now, before = (shown(history[:end], search) for end in (count, count - 3))
            assert stalled(history[:count], search) is (now == before)
            verdicts.append(now == before)
    assert 0.1 < np.mean(verdicts) < 0.9


def shown(trials: list[TrialRecord], search: SearchSettings) -> set[tuple[float, float]]:
    record = SearchRecord("", tuple(trials), search.goals)
    return {(found.metrics["recon_loss"], found.metrics["bits_per_element"]) for found in Standing(record).front}


def failed(number: int, error: str = "OSError: no space left\nTraceback") -> TrialRecord:
    return TrialRecord(number, {}, RunConfig(), TrialState.FAILED, error=error, ended=float(number))


@pytest.mark.parametrize(
    ("trials", "ends"),
    [
        ([failed(n) for n in range(5)], True),
        ([failed(n) for n in range(4)], False),
        ([failed(n, f"RuntimeError: tried to allocate {n}.5 GiB") for n in range(5)], True),
        ([failed(n, "ValueError: odd" if n == 3 else "ValueError: even") for n in range(5)], False),
    ],
    ids=["five alike", "four", "alike but for numbers", "one is another"],
)
def test_a_search_ends_when_nothing_but_the_same_error_comes_of_it(trials, ends):
    assert failing(trials, range(5)) is ends


def test_one_trial_that_came_to_something_shows_that_the_fault_is_not_the_searchs():
    assert not failing([trial(9, recon_loss=0.5), *(failed(n) for n in range(5))], range(10))


def test_a_search_that_goes_on_is_judged_by_its_new_trials():
    trials = [*(failed(n, "OSError: mended") for n in range(5)), *(failed(n) for n in range(5, 10))]
    assert not failing(trials[:9], range(5, 9))
    assert failing(trials, range(5, 10))
