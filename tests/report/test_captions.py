"""What stands above a figure follows what it shows, on searches made up to rise, to be flat, or to be too small."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import SearchRecord, TrialRecord, TrialState
from ndvq_tune.report.captions import (
    curves_caption,
    fit_caption,
    importance_caption,
    progress_caption,
    rate_distortion_caption,
    trials_caption,
)
from tests.report.report_examples import OBJECTIVES, goals, make_trial


def search_of(points: Sequence[tuple[float, float]]) -> SearchRecord:
    """Trials of these losses and bits, one after the other."""
    trials = [
        make_trial(number, {"recon_loss": loss, "bits_per_element": bits, "seconds": 10.0 * number})
        for number, (loss, bits) in enumerate(points)
    ]
    return SearchRecord("made-up", tuple(trials), OBJECTIVES)


def falling(losses: Sequence[float], state: TrialState = TrialState.COMPLETED) -> TrialRecord:
    reports = tuple({"epoch": 1.0 + index, "seconds": 1.0 + index, "recon_loss": x} for index, x in enumerate(losses))
    return make_trial(reports=reports, state=state)


def test_a_front_that_rose_in_the_last_quarter_is_not_called_flat() -> None:
    """The corner is (1, 1): one trial at (0.5, 0.5) covers 0.25, the last one at (0.25, 0.5) 0.375."""
    rising = search_of([(1, 1), (0.5, 0.5), (0.9, 0.9), (0.25, 0.5)])
    assert progress_caption(Standing(rising)).endswith("The last of 4 trials brought 33% of it.")


def test_a_front_that_did_not_move_is_said_to_and_few_trials_say_little() -> None:
    few = [(1, 1), (0.25, 0.5), (0.9, 0.9), (0.8, 0.8)]
    assert progress_caption(Standing(search_of(few))).endswith(
        "The last of 4 trials did not move it: so few say little."
    )
    many = search_of([*few, *[(0.9, 0.9)] * 16])
    assert progress_caption(Standing(many)).endswith(
        "The last 5 of 20 trials did not move it: more of them would find little."
    )


def test_a_single_objective_is_followed_by_its_values() -> None:
    moved = replace(search_of([(0.5, 1), (0.4, 1), (0.3, 1), (0.25, 1)]), goals=goals("recon_loss"))
    assert progress_caption(Standing(moved)) == (
        "Best recon_loss, after each trial that had finished. The last of 4 trials took it from 0.300 to 0.250."
    )


def test_the_front_is_told_from_one_end_to_the_other() -> None:
    text = rate_distortion_caption(search_of([(0.1, 0.5), (0.4, 0.1), (0.2, 0.3), (0.5, 0.5)]))
    assert "Nothing beats the 3 on the line in both, from trial-0001 (bits 0.100, recon_loss 0.400)" in text
    assert text.endswith("to trial-0000 (bits 0.500, recon_loss 0.100).")
    assert "Nothing beats trial-0001 (bits 0.100, recon_loss 0.200)" in rate_distortion_caption(
        search_of([(0.3, 0.2), (0.2, 0.1)])
    )


def test_parameters_are_named_only_where_the_interval_leaves_zero_out(eventful: SearchRecord) -> None:
    assert importance_caption(eventful).startswith("What mattered most at equal bits: learning_rate 41% (28% to 54%)")
    unsure = replace(eventful, importances=tuple(replace(item, low=0.0) for item in eventful.importances))
    assert importance_caption(unsure) == "No parameter surely explains as much as 5%."


@pytest.mark.parametrize(
    ("curves", "text"),
    [
        ([[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]], "Of 1 trial that came to its end, 1 still got better there"),
        ([[0.9, 0.4, 0.3, 0.3, 0.3, 0.3]], "Of 1 trial that came to its end, none still got better there"),
        ([[0.9, 0.8, 0.7, 0.5, 0.4, 0.3], [0.9, 0.3, 0.3, 0.3]], "Of 2 trials that came to their end, 1 still got"),
        ([[0.9, 0.8]], "No trial has come to its end with epochs enough"),
    ],
)
def test_curves_are_said_to_fall_where_they_do(curves: list[list[float]], text: str) -> None:
    trials = [replace(falling(curve), number=number) for number, curve in enumerate(curves)]
    stopped = replace(falling([0.9, 0.5, 0.2, 0.1], TrialState.PRUNED), number=len(trials))
    assert curves_caption(SearchRecord("made-up", (*trials, stopped), goals("recon_loss"))).startswith(text)


def test_the_recommended_trial_is_only_called_marked_where_it_is_in_the_table() -> None:
    standing = Standing(search_of([(0.1, 1.0), (0.11, 0.1), (0.5, 0.05)]))
    assert standing.best is standing.search.trials[1]
    assert trials_caption(standing, 2) == "By recon_loss, the lowest first. The recommended one, trial-0001, is marked."
    assert trials_caption(standing, 1).endswith("trial-0001, comes as number 2, below these.")


def recommended(validation: Sequence[float], training: Sequence[float], **changes: Any) -> Standing:
    reports = tuple(
        {"epoch": epoch, "seconds": epoch, "recon_loss": own, "train_recon_loss": other}
        for epoch, (own, other) in enumerate(zip(validation, training, strict=True), start=1)
    )
    trial = make_trial(reports=reports, **changes)
    return Standing(SearchRecord("made-up", (trial,), goals("recon_loss")))


def test_the_gap_between_training_and_validation_is_told() -> None:
    """0.3 is 50% above 0.2."""
    text = "At the last epoch of trial-0000 (2) the validation loss is 0.300, 50% above the training loss of 0.200."
    assert fit_caption(recommended([0.5, 0.3], [0.4, 0.2])) == text
    assert "0.300, 12 times the training loss" in fit_caption(recommended([0.5, 0.3], [0.4, 0.025]))
    assert "20% below the training loss" in fit_caption(recommended([0.5, 0.4], [0.6, 0.5]))


def test_a_validation_loss_that_rose_again_is_said_to_and_of_which_epoch_the_weights_are() -> None:
    kept = {"best_epoch": 2, "best_checkpoint": "checkpoints/trial-0000"}
    text = fit_caption(recommended([0.5, 0.3, 0.4], [0.5, 0.2, 0.1], **kept))
    assert text.endswith("The weights that are kept are of epoch 2, where it was 0.300.")


def test_without_a_training_loss_nothing_is_compared(example: SearchRecord, empty: SearchRecord) -> None:
    assert fit_caption(Standing(example)) == fit_caption(Standing(empty)) == ""
