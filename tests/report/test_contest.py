"""Charts of the searched parameters: which trials they compare, what they draw, and what is said of it."""

from dataclasses import replace
from typing import Any

import pytest

from ndvq_tune.distributions import Choice, Range, Searched
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Importance, SearchRecord, TrialState
from ndvq_tune.report.combinations import combinations, combinations_caption
from ndvq_tune.report.contest import Contest
from ndvq_tune.report.slices import slices, slices_caption
from tests.report.report_examples import goals, make_trial

CODES = Searched("model.n_codes", Choice((64, 128)))
DOWN = Searched("model.downsample", Choice(([2, 2], [4, 4])))
RATE = Searched("training.learning_rate", Range(0.001, 0.1, log=True))
DROPOUT = Searched("model.dropout", Range(0.0, 0.5))


def search_of(*points: tuple[Any, ...], parameters: tuple[Searched, ...] = (CODES, DOWN, RATE)) -> SearchRecord:
    """A search of one objective; each trial is as good as its number, and so is the order of its points."""
    keys = [parameter.key for parameter in parameters]
    trials = tuple(
        make_trial(number, {"recon_loss": 0.1 * (number + 1)}, params=dict(zip(keys, point, strict=True)))
        for number, point in enumerate(points)
    )
    return SearchRecord("made-up", trials, goals("recon_loss"), parameters)


SIX = search_of(
    *((128, [2, 2], 0.01), (128, [2, 2], 0.03), (64, [4, 4], 0.001)),
    *((128, [2, 2], 0.1), (64, [2, 2], 0.02), (64, [4, 4], 0.05)),
)


def contest(search: SearchRecord) -> Contest:
    return Contest(Standing(search))


def test_the_best_are_the_front_or_of_one_objective_a_quarter(example: SearchRecord) -> None:
    assert [trial.number for trial in contest(SIX).best] == [0, 1]
    assert {trial.number for trial in contest(example).best} == {trial.number for trial in Standing(example).front}
    assert contest(SIX).best_text == "best 2 of 6 trials"


def test_few_trials_show_no_pattern() -> None:
    four = contest(replace(SIX, trials=SIX.trials[:4]))
    assert four.trials == ()
    assert not slices(four).data
    assert not combinations(four).data


def test_trials_of_smaller_samples_do_not_compare(eventful: SearchRecord) -> None:
    numbers = {trial.number for trial in contest(eventful).trials}
    assert 5 not in numbers
    assert numbers == {t.number for t in Standing(eventful).eligible if t.result.get("fidelity", 1) == 1}


def test_parameters_come_by_what_mattered_and_those_that_never_differ_not_at_all() -> None:
    importances = (Importance("training.learning_rate", 0.5, 0.4, 0.6), Importance("model.downsample", 0.1, 0, 0.2))
    assert contest(replace(SIX, importances=importances)).parameters == (RATE, DOWN, CODES)
    same = tuple(replace(trial, params={**trial.params, "model.n_codes": 64}) for trial in SIX.trials)
    assert contest(replace(SIX, trials=same)).parameters == (DOWN, RATE)


def test_each_parameter_has_its_own_scale_as_wide_as_the_space() -> None:
    layout = slices(contest(SIX)).layout
    assert (layout.xaxis.type, list(layout.xaxis2.categoryarray)) == ("category", ["2x2", "4x4"])
    assert layout.xaxis3.type == "log"
    assert list(layout.xaxis3.range) == pytest.approx([-3, -1], abs=0.1)
    assert {"0.001", "0.01", "0.1"} <= set(layout.xaxis3.ticktext)
    assert layout.yaxis2.matches == layout.yaxis3.matches == "y"
    linear = search_of(*((codes, 0.1 * codes / 64) for codes in (64, 128) * 3), parameters=(CODES, DROPOUT))
    assert slices(contest(linear)).layout.xaxis2.type == "linear"


def test_every_trial_is_a_point_of_each_parameter_that_it_has(example: SearchRecord) -> None:
    found = contest(example)
    figure = slices(found)
    states = [trace for trace in figure.data if trace.name in ("completed", "stopped early")]
    assert sum(len(trace.x) for trace in states) == sum(
        parameter.key in trial.params for trial in found.trials for parameter in found.parameters
    )
    assert sorted(trace.name for trace in figure.data if trace.showlegend) == [
        *("completed", "on the front", "recommended", "stopped early"),
    ]
    winner, first = Standing(example).best, found.parameters[0]
    assert winner is not None
    ring = next(trace for trace in figure.data if trace.name == "recommended")
    assert (list(ring.x), list(ring.y)) == ([str(winner.params[first.key])], [winner.result["recon_loss"]])


def test_what_is_said_of_values_is_what_the_best_trials_have(example: SearchRecord) -> None:
    assert slices_caption(contest(SIX)) == (
        "The best 2 of 6 trials have n_codes 128, downsample 2x2 and learning_rate 0.01 to 0.03 (of 0.001 to 0.1)."
    )
    other = replace(SIX, trials=(SIX.trials[2], *SIX.trials[1:2], *SIX.trials[3:], SIX.trials[0]))
    losses = [make_trial(n, {"recon_loss": 0.1 * (n + 1)}, params=t.params) for n, t in enumerate(other.trials)]
    assert "have n_codes 64 (1) or 128 (1), downsample 4x4 (1) or 2x2 (1) and learning_rate 0.001 to 0.03" in (
        slices_caption(contest(replace(SIX, trials=tuple(losses))))
    )
    assert "Drawn are" not in slices_caption(contest(example))


def test_of_many_parameters_the_first_twelve_are_drawn() -> None:
    many = tuple(Searched(f"model.p{place}", Range(0, 100)) for place in range(14))
    found = contest(search_of(*(range(start, start + 14) for start in range(6)), parameters=many))
    assert len(slices(found).layout.annotations) == 12
    assert slices_caption(found).endswith(" Drawn are the first 12 of 14 parameters.")


def test_a_line_goes_across_the_parameters_to_the_objective() -> None:
    others, best, recommended = combinations(contest(SIX)).data
    assert [trace.name for trace in (others, best, recommended)] == ["other trials", "best", "recommended"]
    assert list(recommended.x) == [0, 1, 2, 3, None]
    codes, down, rate, loss, gap = recommended.y
    assert 0 < down < 0.5 < codes < 1  # in the bands of the second and of the first choice
    assert (rate, loss, gap) == (pytest.approx(0.5), 0, None)  # 0.01 is half way from 0.001 to 0.1
    assert list(others.x).count(None) == 4
    assert set(others.hovertext) == {f"trial-{number:04d}" for number in (2, 3, 4, 5)}


def test_lines_through_one_choice_lie_side_by_side_the_better_ones_above() -> None:
    others, best, recommended = combinations(contest(SIX)).data
    assert recommended.y[0] > best.y[0] > others.y[5]  # the fourth trial has the same number of codes


def test_a_line_passes_by_what_its_trial_does_not_have(example: SearchRecord) -> None:
    found = contest(example)
    without = [trial for trial in found.trials if "model.attention.n_head" not in trial.params]
    place = [parameter.key for parameter in found.parameters].index("model.attention.n_head")
    head = replace(Importance("model.attention.n_head", 0.5, 0.4, 0.6))
    found = contest(replace(example, importances=(head,)))
    assert place > 0
    crossing = sum(list(trace.x).count(0) for trace in combinations(found).data)
    assert crossing == len(found.trials) - len(without)


def test_what_is_said_of_combinations_is_what_the_best_share_and_who_else_does() -> None:
    assert combinations_caption(contest(SIX)) == (
        "The best 2 of 6 trials have n_codes 128 and downsample 2x2 in common; of the 4 others, 1 has the same."
    )
    apart = search_of(*((codes, down, 0.01) for codes, down in zip((64, 128) * 3, ([2, 2], [4, 4]) * 3, strict=True)))
    assert combinations_caption(contest(apart)) == "The best 2 of 6 trials have no choice in common."


def test_one_parameter_alone_is_no_combination() -> None:
    alone = search_of(*((codes,) for codes in (64, 128) * 3), parameters=(CODES,))
    assert slices(contest(alone)).data
    assert not combinations(contest(alone)).data


def test_a_running_trial_is_drawn_as_unfinished() -> None:
    trials = (replace(SIX.trials[0], state=TrialState.RUNNING), *SIX.trials[1:])
    assert "unfinished" in {trace.name for trace in slices(contest(replace(SIX, trials=trials))).data}


def test_choices_that_differ_late_are_told_apart() -> None:
    decay = Searched("model.ema_decay", Choice((0.9991, 0.9994)))
    found = contest(
        search_of(*((value, [2, 2], 0.01) for value in (0.9991, 0.9994) * 3), parameters=(decay, DOWN, RATE))
    )
    assert list(slices(found).layout.xaxis.categoryarray) == ["0.9991", "0.9994"]
