import math
import random
from collections import Counter
from dataclasses import replace

import pytest

from ndvq_tune.config import RunConfig
from ndvq_tune.records import StopReason, TrialState
from ndvq_tune.search.engine.schedulers.pbt import MUTABLE, perturbed, source_of
from ndvq_tune.yaml_file import flatten
from tests.search.engine.schedulers.scheduler_examples import TWO_OBJECTIVES, cut, settings_of, trial
from tests.search.search_examples import space_of

PBT = {"type": "pbt", "interval": 2, "quantile": 0.25, "factor": 1.2, "resample": 0.0}
SEARCH = settings_of(scheduler=PBT)


def saved(record, **changes):
    return replace(record, checkpoint=f"checkpoints/{record.name}", checkpoint_epoch=2, **changes)


def population(*losses):
    """Trials that had these losses after two epochs."""
    return [saved(trial(number, 1.0, loss)) for number, loss in enumerate(losses)]


def source(record, others, search=SEARCH):
    found = source_of(record, others, search)
    return None if found is None else found.number


def test_the_worst_quarter_goes_on_from_the_best_quarter_and_all_others_go_on():
    losses = (0.5, 0.1, 0.9, 0.4, 0.2, 0.3, 0.8, 0.6)
    members = population(*losses)
    found = {m.number: source(m, [other for other in members if other is not m]) for m in members}
    assert {number for number, origin in found.items() if origin is not None} == {2, 6}
    assert {found[2], found[6]} <= {1, 4}


def test_each_of_the_best_is_drawn_by_chance_that_hangs_on_seed_trial_and_epoch_alone():
    best, worst = population(0.1, 0.2, *[0.5] * 4), [saved(trial(number, 1.0, 0.9)) for number in range(6, 206)]
    members = best + worst[:2]
    drawn = [source(w, [*best, worst[0]]) for w in worst[1:]]
    assert drawn == [source(w, [worst[0], *reversed(best)]) for w in worst[1:]]
    assert 60 < Counter(drawn)[0] < 140
    assert set(drawn) == {0, 1}
    seeds = {source(members[-1], members[:-1], SEARCH.model_copy(update={"seed": seed})) for seed in range(20)}
    assert seeds == {0, 1}


def test_trials_are_compared_after_every_interval_but_not_at_their_end():
    others = [saved(trial(number, *[0.1] * 9)) for number in range(7)]
    record = trial(9, *[0.9] * 9)
    assert [e for e in range(1, 10) if source(cut(record, e), others) is not None] == [2, 4, 6, 8]
    ends = replace(record, config=RunConfig.model_validate({"training": {"max_epochs": 6}}))
    assert [e for e in range(1, 7) if source_of(replace(ends, reports=record.reports[:e]), others, SEARCH)] == [2, 4]


def test_it_takes_as_many_trials_at_that_epoch_as_make_the_share_one():
    members = population(0.1, 0.2, 0.3, 0.9)
    assert source(members[3], members[:2]) is None
    assert source(members[3], [*members[:2], trial(2, 1.0)]) is None
    assert source(members[3], members[:3]) == 0


def test_trials_are_compared_by_what_they_had_at_that_epoch_however_far_they_are():
    members = [saved(trial(number, 1.0, 0.3, 0.0, 0.0)) for number in range(3)]
    assert source(trial(3, 1.0, 0.2), members) is None
    assert source(trial(3, 1.0, 0.4), members) in {0, 1, 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpoint": None},
        {"state": TrialState.FAILED},
        {"state": TrialState.PRUNED, "stop_reason": StopReason.DIVERGED},
    ],
    ids=["no checkpoint", "failed", "diverged"],
)
def test_a_trial_without_usable_weights_is_no_source(changes):
    members = population(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9)
    others = [replace(members[0], **changes), *members[1:7]]
    assert source(members[7], others) == 1
    assert source(members[7], [others[0], replace(members[1], **changes), *members[2:7]]) is None


def test_nobody_gives_way_to_an_equal():
    members = population(*[0.5] * 8)
    assert [source(m, [other for other in members if other is not m]) for m in members] == [None] * 8


def test_a_diverged_member_is_among_the_worst():
    members = population(0.1, 0.2, 0.3, math.nan)
    assert source(members[3], members[:3]) == 0


def test_several_objectives_and_constraints_count():
    bound = [{"metric": "codebook_usage", "at_least": 0.5}]
    search = settings_of(scheduler=PBT, objectives=TWO_OBJECTIVES, constraints=bound)
    points = [(0.1, 0.9, 0.6), (0.5, 0.6, 0.6), (0.6, 0.7, 0.6), (0.0, 0.0, 0.4)]
    members = [
        saved(trial(number, 1.0, loss, bits_per_element=bits, codebook_usage=usage))
        for number, (loss, bits, usage) in enumerate(points)
    ]
    found = [source(m, [other for other in members if other is not m], search) for m in members]
    assert found == [None, None, None, 0]


def test_other_schedulers_have_no_sources():
    members = population(0.1, 0.2, 0.3, 0.9)
    assert source(members[3], members[:3], settings_of(scheduler={"type": "asha"})) is None


def test_what_can_change_are_parameters_that_there_are():
    assert set(flatten(RunConfig().to_dict())) >= MUTABLE


def space(**changes):
    """The small space with this scheduler in place of its own."""
    found = space_of(**changes)
    return replace(found, search=found.search.model_copy(update={"scheduler": SEARCH.scheduler}))


SPACE = space(
    model={
        "ema_decay": {"uniform": [0.8, 0.999]},
        "quantizer": {"restart_threshold": {"choice": [0.0, 0.01, 0.03, 0.1]}},
    },
    training={"learning_rate": {"log_uniform": [1e-4, 1e-2]}},
)
PARAMS = {
    "model.n_codes": 32,
    "model.downsample": [1, 2, 2],
    "model.attention.type": "axial",
    "model.attention.n_head": 4,
    "model.codebook_beta": 0.5,
    "model.ema_decay": 0.9,
    "model.quantizer.restart_threshold": 0.01,
    "training.learning_rate": 1e-3,
}
SHAPES = ("model.n_codes", "model.downsample", "model.attention.type", "model.attention.n_head")


def resampling(found, resample):
    scheduler = found.search.scheduler.model_copy(update={"resample": resample})
    return replace(found, search=found.search.model_copy(update={"scheduler": scheduler}))


def drawn(found, params=PARAMS, times=400):
    chance = random.Random(0)
    return [perturbed(params, found, chance) for _ in range(times)]


def test_what_shapes_depend_on_stays():
    for resample in (0.0, 1.0):
        for params in drawn(resampling(SPACE, resample), times=40):
            assert params.keys() == PARAMS.keys()
            assert all(params[key] == PARAMS[key] for key in SHAPES)


def test_numbers_are_multiplied_or_divided_within_their_range_and_choices_become_a_neighbour():
    found = drawn(SPACE)
    rates = Counter(round(params["training.learning_rate"], 9) for params in found)
    assert rates.keys() == {round(1e-3 * 1.2, 9), round(1e-3 / 1.2, 9)}
    assert min(rates.values()) > 150
    assert {params["model.ema_decay"] for params in found} == {0.999, 0.8}
    assert {params["model.quantizer.restart_threshold"] for params in found} == {0.0, 0.03}


@pytest.mark.parametrize(("value", "near"), [(0.0, {0.01}), (0.1, {0.03})])
def test_at_the_end_of_a_list_there_is_one_neighbour(value, near):
    key = "model.quantizer.restart_threshold"
    assert {params[key] for params in drawn(SPACE, PARAMS | {key: value}, times=40)} == near


def test_a_list_of_one_has_no_neighbours():
    found = space(model={"codebook_beta": {"choice": [0.5]}})
    assert perturbed({"model.codebook_beta": 0.5}, found, random.Random(0)) == {"model.codebook_beta": 0.5}


def test_whole_numbers_stay_whole():
    found = space(training={"gradient_clip": {"int_uniform": [1, 9]}})
    key = "training.gradient_clip"
    values = [params[key] for params in drawn(found, {key: 5}, times=40)]
    assert set(values) == {6, 4}
    assert all(isinstance(value, int) for value in values)
    anew = Counter(params[key] for params in drawn(resampling(found, 1.0), {key: 5}, times=1800))
    assert anew.keys() == set(range(1, 10))
    assert all(140 < count < 260 for count in anew.values())


def test_drawn_anew_means_from_the_distribution():
    found = drawn(resampling(SPACE, 1.0), times=1000)
    rates = [params["training.learning_rate"] for params in found]
    decays = [params["model.ema_decay"] for params in found]
    thresholds = Counter(params["model.quantizer.restart_threshold"] for params in found)
    assert 1e-4 <= min(rates) < 1.1e-4 < 9e-3 < max(rates) <= 1e-2
    assert 0.45 < sum(rate < 1e-3 for rate in rates) / 1000 < 0.55
    assert 0.8 <= min(decays) < 0.81 < 0.99 < max(decays) <= 0.999
    assert 0.45 < sum(decay < 0.8995 for decay in decays) / 1000 < 0.55
    assert set(thresholds) == {0.0, 0.01, 0.03, 0.1}
    assert all(200 < count < 300 for count in thresholds.values())


def test_resample_is_how_often():
    found = drawn(resampling(SPACE, 0.25), times=1000)
    steps = {1e-3 * 1.2, 1e-3 / 1.2}
    assert 200 < sum(params["training.learning_rate"] not in steps for params in found) < 300


def test_parameters_that_do_not_exist_in_a_trial_do_not_come_into_being():
    params = {"training.learning_rate": 1e-3}
    assert perturbed(params, SPACE, random.Random(0)).keys() == params.keys()
    assert params == {"training.learning_rate": 1e-3}


def test_a_parameter_that_decides_about_others_stays():
    found = space(
        model={
            "codebook_beta": {"choice": [0.25, 0.5]},
            "ema_decay": {"uniform": [0.8, 0.999], "when": {"model.codebook_beta": [0.5]}},
        },
    )
    changed = drawn(found, {"model.codebook_beta": 0.5, "model.ema_decay": 0.9}, times=40)
    assert {params["model.codebook_beta"] for params in changed} == {0.5}
    assert len({params["model.ema_decay"] for params in changed}) == 2


def test_what_comes_out_is_a_valid_configuration():
    for params in drawn(resampling(SPACE, 0.5), times=40):
        SPACE.complete(params)
