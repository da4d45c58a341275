from dataclasses import replace

import pytest
from scipy import stats

from ndvq_tune.goals import Constraint, Goals, Objective
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, SearchRecord, StopReason, TrialState
from ndvq_tune.report.finding import description, finding, reason
from tests.report.report_examples import OBJECTIVES, READY, UNFINISHED, goals, make_trial

ONE = goals("recon_loss")


def why(search: SearchRecord) -> str:
    return reason(Standing(search))


def search_of(*points: tuple[float, float], repetitions: dict[int, list[float]] | None = None) -> SearchRecord:
    """Trials with these losses and bits, and with repetitions of some that have these losses."""
    trials = [make_trial(n, {"recon_loss": loss, "bits_per_element": bits}) for n, (loss, bits) in enumerate(points)]
    for parent, losses in (repetitions or {}).items():
        for loss in losses:
            metrics = {"recon_loss": loss, "bits_per_element": points[parent][1]}
            trials.append(make_trial(len(trials), metrics, role=Role.CONFIRM, parent=parent))
    return SearchRecord("s", tuple(trials), OBJECTIVES)


KNEE = "It is the knee of a front of"
FRONT = ((0.10, 1.0), (0.11, 0.5), (0.30, 0.4))


def test_a_knee_says_what_it_gives_up_and_for_what() -> None:
    assert why(search_of(*FRONT)) == (
        "It is the knee of a front of 3 trials: 10% higher reconstruction loss than the best (trial-0000), "
        "for 50% fewer bits per element."
    )


def test_decibels_are_compared_by_difference_and_three_objectives_are_listed() -> None:
    values = [(30.0, 1.0, 900.0), (29.0, 0.5, 450.0), (10.0, 0.4, 440.0)]
    names = ("psnr", "bits_per_element", "parameters")
    trials = tuple(make_trial(n, dict(zip(names, point, strict=True))) for n, point in enumerate(values))
    search = SearchRecord(
        "s", trials, Goals((Objective("psnr", "max"), *goals("bits_per_element", "parameters").objectives))
    )
    assert why(search) == (
        "It is the knee of a front of 3 trials: 1.0 dB lower PSNR than the best (trial-0000), "
        "for 50% fewer bits per element and 50% fewer parameters."
    )


def test_a_difference_too_small_for_percent_and_a_best_value_of_zero() -> None:
    assert "less than 1% higher reconstruction loss" in reason(
        Standing(search_of((0.1, 1.0), (0.1001, 0.5), (0.3, 0.4)))
    )
    assert ": 0.0100 higher reconstruction loss than" in reason(
        Standing(search_of((0.0, 1.0), (0.01, 0.5), (0.3, 0.4)))
    )


@pytest.mark.parametrize(
    ("points", "text"),
    [
        (((0.1, 1.0), (0.2, 0.5)), f"{KNEE} 2 trials, and has the lowest reconstruction loss of them."),
        (((0.1, 0.5), (0.2, 1.0)), "It is the best in every objective."),
        (((0.1, 0.5),), ""),
        ((), ""),
    ],
    ids=["front of two", "front of one", "one trial", "no trial"],
)  # fmt: skip
def test_smaller_choices_have_shorter_reasons(points: tuple[tuple[float, float], ...], text: str) -> None:
    assert why(search_of(*points)) == text


def test_one_objective_has_its_best_value() -> None:
    search = replace(search_of(*FRONT), goals=ONE)
    assert why(search) == "It has the lowest reconstruction loss of 3 trials."
    assert why(replace(search, goals=goals("recon_loss", mode="max"))).startswith("It has the highest")


LOSSES = (0.10, 0.30, 0.20)
NEARLY, CLEARLY_WORSE = (0.12, 0.31, 0.18), (0.15, 0.36, 0.25)


def with_samples(search: SearchRecord, *losses: tuple[float, ...]) -> SearchRecord:
    trials = (replace(trial, sample_losses=its) for trial, its in zip(search.trials, losses, strict=True))
    return replace(search, trials=tuple(trials))


def test_a_lead_that_may_be_chance_is_called_so() -> None:
    search = replace(search_of((0.2, 1.0), (0.2033, 1.0), (0.2533, 1.0)), goals=ONE)
    assert why(with_samples(search, LOSSES, NEARLY, CLEARLY_WORSE)) == (
        "It has the lowest reconstruction loss of 3 trials. Its lead in reconstruction loss over trial-0001 "
        "(1.6% ± 25.4%) may be chance: more test samples would tell, and search.confirm repeats the best with other "
        "seeds."
    )
    assert "chance" not in why(search)
    assert "leads in reconstruction loss over trial-0001 (" in why(with_samples(search, LOSSES, NEARLY, NEARLY))


def test_on_a_front_only_leads_over_trials_that_cost_no_more_are_in_doubt() -> None:
    search = search_of((0.10, 1.0), (0.11, 0.5), (0.115, 0.4))
    found = Standing(with_samples(search, LOSSES, NEARLY, NEARLY))
    assert found.best is found.search.trials[1]
    assert [lead.over.number for lead in found.in_doubt] == [2]


def test_what_was_repeated_with_other_seeds_is_judged_by_these() -> None:
    search = replace(search_of((0.2, 1.0), (0.2033, 1.0), repetitions={0: [0.2]}), goals=ONE)
    assert Standing(with_samples(search, LOSSES, NEARLY, ())).in_doubt == ()


def test_samples_say_nothing_of_another_objective_than_the_loss() -> None:
    trials = tuple(make_trial(n, {"psnr": 30.0 - n}, sample_losses=NEARLY) for n in range(2))
    assert Standing(SearchRecord("s", trials, goals("psnr", mode="max"))).in_doubt == ()


@pytest.mark.parametrize(
    ("stopped_by", "words"),
    [(StopReason.COLLAPSE, "codebook collapse"), (StopReason.PLATEAU, "no more progress")],
)
def test_a_recommended_trial_that_was_stopped_early_says_so(stopped_by: StopReason, words: str) -> None:
    search = replace(search_of(*FRONT), goals=ONE)
    first = replace(search.trials[0], state=TrialState.PRUNED, stop_reason=stopped_by)
    assert why(replace(search, trials=(first, *search.trials[1:]))) == (
        f"It has the lowest reconstruction loss of 3 trials. It was stopped early ({words})."
    )


def test_repetitions_say_how_sure_a_choice_is_that_single_runs_would_not_have_made() -> None:
    search = replace(search_of(*FRONT, repetitions={0: [0.20, 0.24], 1: [0.12, 0.13]}), goals=ONE)
    text = why(search)
    assert text.startswith("With 3 seeds its reconstruction loss is 0.120 on average, with a spread of 0.0100; it is")
    probability = stats.ttest_ind([0.11, 0.12, 0.13], [0.10, 0.20, 0.24], alternative="less").pvalue
    assert text.endswith(f"it is the best of the 2 that were repeated (probability {1 - probability:.0%}).")


def test_an_unrepeated_trial_with_a_lower_value_is_not_denied() -> None:
    search = replace(search_of((0.1, 1.0), (0.2, 1.0), repetitions={1: [0.2, 0.21]}), goals=ONE)
    assert why(search) == "With 3 seeds its reconstruction loss is 0.203 on average, with a spread of 0.00577."


def test_several_objectives_are_judged_by_means() -> None:
    text = why(search_of(*FRONT, repetitions={1: [0.13]}))
    assert "20% higher reconstruction loss than the best" in text
    assert text.endswith("With 2 seeds its reconstruction loss is 0.120 on average, with a spread of 0.0141.")


def test_constraints_are_named_with_how_many_trials_break_them() -> None:
    bound = Constraint("bits_per_element", "at_most", 0.6)
    several = replace(OBJECTIVES, constraints=(bound, Constraint("recon_loss", "at_least", 0.05)))
    search = replace(search_of(*FRONT), goals=several)
    kept = "It keeps bits per element at most 0.600 and reconstruction loss at least 0.0500"
    assert why(search).endswith(f"{kept}, which 1 of 3 trials does not.")
    assert why(replace(search, trials=search.trials[1:])).endswith(f"{kept}, as all trials do.")
    impossible = replace(
        search, goals=replace(OBJECTIVES, constraints=(bound, Constraint("recon_loss", "at_most", 0.0)))
    )
    assert why(impossible).endswith(
        "No trial keeps every constraint; this one does not keep reconstruction loss at most 0.00."
    )


def test_a_finding_begins_with_the_trial_and_its_values(single: SearchRecord, empty: SearchRecord) -> None:
    assert finding(Standing(single)) == (
        "trial-0000: reconstruction loss 0.100 (20.0 dB) at 0.250 bits per element, with 50% of its codes in use."
    )
    assert finding(Standing(empty)) == "No trial has led to a model yet."


def test_the_description_has_the_recommendation_the_verdict_and_what_to_do(example: SearchRecord) -> None:
    standing = Standing(example)
    text = description(standing, UNFINISHED)
    assert text.splitlines()[0] == finding(standing)
    assert f"**Verdict: unfinished. {UNFINISHED.why[0].upper()}{UNFINISHED.why[1:]}.**" in text
    for found in UNFINISHED.findings:
        assert found.advice[1:] in text
    assert description(standing, READY).endswith("**Verdict: ready. Nothing speaks against it.**")


def test_it_is_said_that_a_trial_was_trained_to_its_end():
    stopped = make_trial(0, {"recon_loss": 0.3}, state=TrialState.PRUNED, stop_reason=StopReason.SCHEDULER)
    better, worse = (make_trial(1, {"recon_loss": loss}, role=Role.FINISH, parent=0) for loss in (0.2, 0.4))
    assert why(SearchRecord("s", (stopped, better), ONE)) == "It is trial-0000, trained to its end."
    assert why(SearchRecord("s", (stopped, worse), ONE)) == (
        "Trained on to its end, as trial-0001, it did not get better. "
        "It was stopped early (others were better at the same point)."
    )
