from dataclasses import replace

from ndvq_tune.records import TrialState
from ndvq_tune.search.engine.curves.decisions import Decisions
from tests.search.engine.curves.curve_examples import curve, params_of
from tests.search.search_examples import TWO_OBJECTIVES, space_of

SPACE = space_of(search={"sampler": {"type": "curves"}, "scheduler": {"type": "promote", "grace_period": 1}})
BETAS = (0.06, 0.1, 0.2, 0.4, 0.7, 1.2)


def records(*epochs: int, space=SPACE):
    return [
        curve(number, params_of(beta), come, space)
        for number, (beta, come) in enumerate(zip(BETAS, epochs, strict=True))
    ]


def test_rungs_are_those_of_the_scheduler_and_end_before_the_last_epoch():
    assert Decisions(SPACE).rungs == [1, 3]
    wide = space_of(search={"scheduler": {"type": "promote", "grace_period": 2, "reduction_factor": 2}})
    assert Decisions(wide).rungs == [2, 4, 8]


def test_the_paused_trial_that_will_be_best_goes_on():
    trials = records(1, 1, 1, 1, 1, 1)
    assert Decisions(SPACE).goes_on({0, 1, 2, 3, 4, 5}, trials) == 3
    assert Decisions(SPACE).goes_on(set(), trials) is None


def test_a_decision_depends_on_records_and_number_alone():
    trials, known = records(9, 3, 3, 1, 1, 1), lambda params: {}
    first, again = Decisions(SPACE), Decisions(SPACE)
    again.goes_on({3, 4}, trials[:5])
    assert first.proposals(trials, 6, known) == again.proposals(trials, 6, known)
    assert first.proposals(trials, 6, known) != first.proposals(trials, 7, known)


def test_before_a_report_there_is_nothing_to_learn_from():
    assert Decisions(SPACE).proposals([curve(0, params_of(), 0, SPACE)], 1, lambda params: {}) == []


def test_nothing_is_learned_from_trials_that_all_diverged():
    failed = [replace(record, state=TrialState.FAILED) for record in records(1, 1, 1, 1, 1, 1)]
    assert Decisions(SPACE).proposals(failed, 6, lambda params: {}) == []


def test_a_front_is_widened_where_bits_are_few_and_losses_not_found():
    space = space_of(search={**TWO_OBJECTIVES, "constraints": [], "sampler": {"type": "curves"}})
    trials = records(9, 9, 9, 9, 9, 9, space=space)
    bits = {"bits_per_element": 2.0}
    best, *_ = Decisions(space).proposals(
        trials, 6, lambda p: bits if p["model.n_codes"] == 64 else {"bits_per_element": 0.1}
    )
    assert best["model.n_codes"] != 64


def test_trials_of_another_search_teach_the_model_and_hold_up_no_trial_of_this_one():
    """Six that are known, the best of them better than any here: one of three here goes on all the same."""
    known = [replace(record, number=-2 - record.number) for record in records(9, 9, 9, 9, 9, 9)]
    taught = Decisions(SPACE, known)
    trials = [curve(number, params_of(beta), 1, SPACE) for number, beta in enumerate((0.8, 1.5, 1.9))]
    assert taught.goes_on({0, 1, 2}, trials) == 0
    best, *_ = taught.proposals([], 0, lambda params: {})
    assert 0.15 < best["model.codebook_beta"] < 0.6
    assert Decisions(SPACE).proposals([], 0, lambda params: {}) == []
