"""Rules that look at all trials: edges, attention, test data, seeds, trials."""

from dataclasses import replace
from typing import Any

import pytest

from ndvq_tune.diagnosis.attention import attention_idle
from ndvq_tune.diagnosis.case import Asked, Case, chance
from ndvq_tune.diagnosis.edges import at_edge
from ndvq_tune.diagnosis.finding import Confidence, Start, Verdict
from ndvq_tune.diagnosis.samples import too_few_seeds, too_little_test_data
from ndvq_tune.diagnosis.trials import one_cause, ruled_out, too_few_trials
from ndvq_tune.distributions import Choice, Range, Searched
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Importance, StopReason, TrialRecord, TrialState
from tests.diagnosis.diagnosis_examples import ASKED, LOSSES, case_of, only, repetition_of, search_of, spread, trial_of


def test_chance_is_that_of_drawing_without_putting_back() -> None:
    from scipy.stats import hypergeom

    for best, of_tried, tried in ((4, 4, 16), (5, 7, 20), (6, 2, 9)):
        for count in range(best + 1):
            assert chance(count, best, of_tried, tried) == pytest.approx(hypergeom.sf(count - 1, tried, of_tried, best))


def along(distribution: Range | Choice, values: list[Any], key: str, **settings: Any) -> Case:
    """A search over one parameter, the best trial first."""
    trials = [
        trial_of(number, [loss * (1 + 0.05 * number) for loss in LOSSES], params={key: value}, settings=settings)
        for number, value in enumerate(values)
    ]
    return case_of(*trials, asked=Asked((Searched(key, distribution),), len(values), 8))


def test_the_best_at_the_upper_edge_of_a_range_move_it() -> None:
    case = along(Range(0.8, 0.99), [0.985, 0.98, 0.975, 0.97, *[0.82, 0.85, 0.88, 0.91] * 4], "model.ema_decay")
    found = only(at_edge(case))
    assert found.sign == "4 of the best 5 trials have ema_decay at the upper end of what was tried" or (
        found.sign == "4 of the best 4 trials have ema_decay at the upper end of what was tried"
    )
    assert found.evidence.value == pytest.approx(chance(4, len(case.best), 4, 20))
    assert found.advice == "codes follow too fast: a slower decay is better"
    assert found.change is not None
    (leaf,) = found.change.settings.values()
    assert leaf["uniform"][0] == 0.8
    assert 0.99 < leaf["uniform"][1] < 1


def test_the_best_at_the_lower_edge_of_a_logarithmic_range_move_it() -> None:
    key = "training.learning_rate"
    case = along(Range(0.01, 0.2, log=True), [0.011, 0.012, 0.013, 0.01, *[0.03, 0.05, 0.08, 0.15] * 3], key)
    found = only(at_edge(case))
    assert found.advice == "the learning rate is too high"
    assert found.confidence is Confidence.HIGH
    assert found.change is not None
    assert found.change.settings[key]["log_uniform"][0] < 0.01
    assert found.change.settings[key]["log_uniform"][1] == 0.2


def test_a_choice_of_numbers_gets_another_one() -> None:
    case = along(Choice((16, 24, 32)), [*[32] * 4, *[16, 24] * 6], "model.n_hiddens")
    found = only(at_edge(case))
    assert found.change is not None
    assert found.change.options == "--set 'model.n_hiddens={choice: [16, 24, 32, 64]}'"


def test_a_finer_grid_is_proposed_where_samples_can_be_cut_so() -> None:
    case = along(
        Choice(([2, 4, 4], [4, 4, 4], [2, 8, 8])), [*[[2, 4, 4]] * 4, *[[4, 4, 4], [2, 8, 8]] * 6], "model.downsample"
    )
    found = only(at_edge(case))
    assert found.advice == "detail is worth its bits: try a finer grid"
    assert found.change is not None
    assert found.change.settings["model.downsample"]["choice"][0] == [2, 2, 2]


def test_a_condition_stays_with_its_parameter() -> None:
    parameter = Searched("model.attention.n_head", Choice((1, 2)), {"model.attention.type": ("axial",)})
    trials = [
        trial_of(
            number,
            [loss * (1 + 0.05 * number) for loss in LOSSES],
            params={"model.attention.type": "axial", "model.attention.n_head": 2 if number < 4 else 1},
        )
        for number in range(16)
    ]
    found = only(at_edge(case_of(*trials, asked=Asked((parameter,), 16, 8))))
    assert found.change is not None
    assert found.change.settings["model.attention.n_head"] == {
        "choice": [1, 2, 4],
        "when": {"model.attention.type": "axial"},
    }


@pytest.mark.parametrize(
    ("distribution", "values", "key"),
    [
        (Range(0.8, 0.99), [0.985, 0.9, 0.975, 0.85, *[0.82, 0.85, 0.88, 0.91] * 3], "model.ema_decay"),
        (Range(0.8, 0.99), [0.985] * 16, "model.ema_decay"),  # nothing else was tried
        (Choice(("none", "axial")), [*["none"] * 4, *["axial"] * 12], "model.attention.type"),
        (Choice((16, 32)), [*[32] * 12, *[16] * 4], "model.n_hiddens"),
        (Range(0.8, 0.99), [0.985, 0.98, 0.975, 0.82, 0.85], "model.ema_decay"),
    ],
)
def test_what_may_be_chance_and_what_has_no_order_is_at_no_edge(distribution: Any, values: list[Any], key: str) -> None:
    assert not list(at_edge(along(distribution, values, key)))


def with_attention(slower: float, high: float, best: str = "none") -> Case:
    """16 trials, half of them with attention, which are slower by a share; the first eight are the better ones."""
    trials = []
    for number in range(16):
        kind = "axial" if number % 2 else "none"
        if number < 4:
            kind = best
        speed = 100 * (1 - slower) if kind == "axial" else 100
        trials.append(
            trial_of(
                number,
                [loss * (1 + 0.05 * number) for loss in LOSSES],
                params={"model.attention.type": kind},
                curves={"samples_per_second": [speed] * len(LOSSES)},
            )
        )
    return case_of(*trials, importances=(Importance("model.attention.type", 0.02, 0.0, high),))


def test_attention_that_costs_and_explains_nothing_is_left_out() -> None:
    found = only(attention_idle(with_attention(0.4, 0.05)))
    assert found.evidence.value == pytest.approx(0.4)
    assert found.change is not None
    assert found.change.options == "--set model.attention.type=none"


@pytest.mark.parametrize(
    "case",
    [with_attention(0.1, 0.05), with_attention(0.4, 0.3), with_attention(0.4, 0.05, best="axial"), case_of(*spread())],
)
def test_attention_that_is_cheap_or_matters_or_of_which_nothing_is_known_stays(case: Case) -> None:
    assert not list(attention_idle(case))


def test_few_test_samples_are_too_little_data() -> None:
    trial = trial_of(sample_losses=(0.04, 0.06, 0.05))
    found = only(too_little_test_data(trial, case_of(trial)))
    assert (found.evidence.value, found.evidence.threshold) == (3, 8)
    assert (found.verdict, found.change) == (Verdict.TOO_LITTLE_DATA, None)


def test_where_the_search_divides_the_data_a_larger_share_is_for_testing() -> None:
    trial = trial_of(sample_losses=(0.04, 0.06, 0.05), settings={"data.split": 0.9})
    found = only(too_little_test_data(trial, case_of(trial)))
    assert found.change is not None
    assert found.change.options == "--set data.split=0.8"


@pytest.mark.parametrize(("noise", "fires"), [(0.5, True), (0.02, False)])
def test_samples_that_cannot_show_a_tenth_are_too_little_data(noise: float, fires: bool) -> None:
    samples = range(12)
    best = trial_of(0, sample_losses=tuple(0.05 for _ in samples))
    other = trial_of(1, LOSSES, sample_losses=tuple(0.051 + 0.05 * noise * (-1) ** n for n in samples))
    case = case_of(best, other)
    assert case.standing.best is best
    assert bool(list(too_little_test_data(best, case))) is fires


def test_nothing_is_said_of_samples_that_are_not_known() -> None:
    trial = trial_of(sample_losses=())
    assert not list(too_little_test_data(trial, case_of(trial)))


def repeated(scatter: float) -> Case:
    """Two trials, each repeated twice with losses that scatter by a share; the means differ by 5%."""
    ends = [(0, 1.0), (1, 1.05)]
    trials = [trial_of(number, [loss * factor for loss in LOSSES]) for number, factor in ends]
    for number, factor in ends:
        for sign in (-1, 1):
            losses = [loss * factor * (1 + sign * scatter) for loss in LOSSES]
            trials.append(repetition_of(trials[number], len(trials), losses))
    return case_of(*trials)


def test_repetitions_that_leave_the_best_open_ask_for_more_seeds() -> None:
    case = repeated(0.2)
    best = case.standing.best
    assert best is not None
    found = only(too_few_seeds(best, case))
    assert found.evidence.value < 0.75
    assert found.change is not None
    assert found.change.start is Start.RESUME
    assert found.change.options == "--set 'search.confirm={seeds: 6, top: 2}'"
    sure = repeated(0.001)
    assert sure.standing.best is not None
    assert not list(too_few_seeds(sure.standing.best, sure))


def test_trials_that_were_all_drawn_at_random_are_too_few() -> None:
    found = only(too_few_trials(case_of(*spread(5))))
    assert (found.evidence.value, found.evidence.threshold) == (5, 8)
    assert found.change is not None
    assert (found.change.start, found.change.settings) == (Start.RESUME, {"search.trials": 32})
    assert not list(too_few_trials(case_of(*spread(8))))


def test_a_space_that_was_tried_as_a_whole_needs_no_more_trials() -> None:
    asked = Asked((Searched("model.n_codes", Choice((64, 128))), Searched("model.n_hiddens", Choice((16, 32)))), 4, 8)
    assert not list(too_few_trials(case_of(*spread(4), asked=asked)))
    assert not list(too_few_trials(case_of(*spread(1), asked=Asked((), 1, 8))))


def ended_by(reason: StopReason, count: int) -> list[TrialRecord]:
    """16 trials of which so many were pruned for a reason."""
    trials = spread()
    return [replace(t, state=TrialState.PRUNED, stop_reason=reason) for t in trials[:count]] + trials[count:]


@pytest.mark.parametrize(
    ("reason", "options"),
    [
        (StopReason.DIVERGED, "--set training.learning_rate=0.0075"),
        (StopReason.COLLAPSE, "--set search.stop.collapse.on_collapse=restart_codes"),
        (StopReason.PLATEAU, "--set training.max_epochs=12"),
        (StopReason.TIME_BUDGET, ""),
    ],
)
def test_one_cause_that_ended_most_trials_has_advice_of_its_own(reason: StopReason, options: str) -> None:
    found = only(one_cause(case_of(*ended_by(reason, 13))))
    assert found.evidence.value == pytest.approx(13 / 16)
    assert found.change is not None
    assert found.change.options == options
    assert not list(one_cause(case_of(*ended_by(reason, 11))))


def test_a_learning_rate_that_is_searched_is_lowered_as_a_whole() -> None:
    searched = Searched("training.learning_rate", Range(0.01, 0.2, log=True))
    found = only(one_cause(case_of(*ended_by(StopReason.DIVERGED, 13), asked=Asked((searched,), 16, 8))))
    assert found.change is not None
    assert found.change.settings == {"training.learning_rate": {"log_uniform": [0.0025, 0.05]}}


def test_errors_count_and_what_a_scheduler_stops_does_not() -> None:
    failed = [replace(trial, state=TrialState.FAILED, error="boom") for trial in spread()]
    assert only(one_cause(case_of(*failed))).sign == "16 of 16 trials ended by error"
    assert not list(one_cause(case_of(*ended_by(StopReason.SCHEDULER, 16))))


def test_nearly_everything_ruled_out_is_a_space_to_narrow() -> None:
    found = only(ruled_out(case_of(*spread(), rejected={"bits_per_element": 400, "memory": 5, "repeated": 99})))
    assert found.evidence.value == pytest.approx(405 / 421)
    assert "the bound on bits_per_element" in found.advice
    assert not list(ruled_out(case_of(*spread(), rejected={"bits_per_element": 100, "repeated": 900})))


def test_what_is_asked_of_all_trials_knows_nothing_without_any() -> None:
    case = Case(Standing(search_of()), ASKED)
    for rule in (at_edge, attention_idle, one_cause, ruled_out, too_few_trials):
        assert not list(rule(case))
