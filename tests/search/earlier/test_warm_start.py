import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState as OptunaState

from ndvq_tune.records import Rescue, Role, StopReason, TrialRecord, TrialState
from ndvq_tune.search.earlier.reading import Earlier
from ndvq_tune.search.earlier.warm_start import WarmStart, plan
from ndvq_tune.search.engine.codec import known_trial
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.yaml_file import Document
from tests.search.earlier.earlier_examples import POINT, trial_of
from tests.search.search_examples import TWO_OBJECTIVES, report, space_of

IMAGES = SearchSpace.from_document(
    Document(
        "images.yaml",
        {
            "name": "images",
            "data": {"type": "image", "resolution": 16},
            "model": {
                "n_dims": 2,
                "n_codes": {"choice": [8, 16, 32]},
                "downsample": {"choice": [[2, 2], [4, 4]]},
                "codebook_beta": {"log_uniform": [0.01, 5.0]},
                "attention": {"type": "none"},
            },
            "training": {"max_epochs": 3},
        },
        {},
    )
)


def planned(space: SearchSpace, *trials: TrialRecord, of: SearchSpace | None = None) -> WarmStart:
    return plan(space, [Earlier("other", (of or space).search, trials)])


def image_trial(number: int, loss: float, **params: Any) -> TrialRecord:
    return trial_of(IMAGES, number, loss, params={"model.downsample": [4, 4], **params})


@pytest.mark.parametrize("state", [TrialState.COMPLETED, TrialState.PRUNED])
def test_a_trial_that_the_new_search_could_have_run_is_known(state: TrialState) -> None:
    trial = trial_of(space_of(), state=state, epochs=3)
    start = planned(space_of(), trial)
    assert start == WarmStart((trial,), (), {})
    assert start.describe() == "1 trial taken over, 0 more to be tried first"


def test_what_the_earlier_search_fixed_counts_as_chosen_where_the_new_one_searches_it() -> None:
    earlier = space_of(model={"n_codes": 16, "downsample": [2, 2, 2]})
    assert set(trial_of(earlier).params) == {"model.codebook_beta", "model.attention.type"}
    (known,) = planned(space_of(), trial_of(earlier)).known
    assert known.params == POINT


def test_what_the_new_search_fixes_must_be_the_same() -> None:
    same, other = space_of(model={"n_codes": 16}), space_of(model={"n_codes": 32})
    assert [set(known.params) for known in planned(same, trial_of(space_of())).known] == [{*POINT} - {"model.n_codes"}]
    assert planned(other, trial_of(space_of())).known == ()


def test_what_else_validation_measured_does_not_matter() -> None:
    earlier = space_of(training={"validation_metrics": ["ssim"]})
    assert len(planned(space_of(), trial_of(earlier)).known) == 1
    sought = space_of(search={"objectives": [{"metric": "recon_loss", "mode": "min"}], "until": {"ssim": 0.9}})
    assert len(planned(sought, trial_of(space_of())).known) == 1


def test_values_are_told_apart_by_what_they_mean_and_not_by_how_they_are_written() -> None:
    written = space_of(training={"learning_rate": {"choice": ["3e-2", 0.1]}})  # YAML reads 3e-2 as text
    (known,) = planned(written, trial_of(space_of())).known
    assert known.params["training.learning_rate"] == "3e-2"


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        ({"model": {"n_codes": {"choice": [32, 64]}}}, "model.n_codes outside the space"),
        ({"model": {"codebook_beta": {"log_uniform": [0.6, 2.0]}}}, "model.codebook_beta outside the space"),
    ],
)
def test_on_the_same_data_a_value_outside_the_space_rules_a_trial_out(changes: dict[str, Any], obstacle: str) -> None:
    start = planned(space_of(**changes), trial_of(space_of()), trial_of(space_of(), 1))
    assert start == WarmStart((), (), {obstacle: 2})
    assert start.describe().endswith(f"left out: 2 trials: {obstacle}")


def test_another_length_is_another_trial_but_its_point_is_tried_first() -> None:
    start = planned(space_of(training={"max_epochs": 20}), trial_of(space_of()))
    assert start == WarmStart((), (POINT,), {})


@pytest.mark.parametrize(
    ("data", "same"),
    [
        ({"path": "data/../data/video_dataset/"}, True),
        ({"path": "data/other"}, False),
        ({"path": "s3://bucket/data/video_dataset"}, False),
        ({"max_bad": 0.5}, True),
        ({"clip_stride": 2}, False),
        ({"resolution": 32}, False),
        ({"augment": {"RandomHorizontalFlip": {}}}, False),
    ],
)
def test_only_the_same_samples_make_the_same_trial(data: dict[str, Any], same: bool) -> None:
    start = planned(space_of(data=data), trial_of(space_of()))
    assert (len(start.known), len(start.first_points)) == ((1, 0) if same else (0, 1))


def test_a_parameter_that_does_not_count_may_differ() -> None:
    earlier = space_of(model={"attention": {"n_head": 4}})
    trial = trial_of(earlier)
    assert trial.config.model.attention.n_head == 4  # 2 is the default
    assert len(planned(space_of(), trial).known) == 1
    counts = trial_of(earlier, params={"model.attention.type": "full"})
    assert planned(space_of(), counts).known[0].params["model.attention.n_head"] == 4


def test_images_seed_a_search_over_videos() -> None:
    start = planned(space_of(), image_trial(0, 0.3), image_trial(1, 0.2, **{"model.codebook_beta": 0.25}), of=IMAGES)
    assert start.known == ()
    point = {"model.n_codes": 16, "model.codebook_beta": 0.5}
    assert start.first_points == (point | {"model.codebook_beta": 0.25}, point)


def test_on_other_data_a_value_outside_the_space_is_left_free() -> None:
    start = planned(space_of(), image_trial(0, 0.3, **{"model.n_codes": 8}), of=IMAGES)
    assert start.first_points == ({"model.codebook_beta": 0.5},)


def test_what_the_earlier_search_did_not_search_is_left_free() -> None:
    space = space_of(model={"activation": {"choice": ["silu", "snake"]}})
    (point,) = planned(space, image_trial(0, 0.3), of=IMAGES).first_points
    assert "model.activation" not in point  # silu there, by default
    assert "model.attention.type" not in point  # none there, as the space says
    nothing_chosen = space_of(model={"n_codes": 256, "codebook_beta": 0.25})
    assert planned(nothing_chosen, image_trial(0, 0.3), of=IMAGES).left_out == {"no parameter in common": 1}


def test_nothing_in_common_is_no_point() -> None:
    space = space_of(model={"n_codes": 256, "codebook_beta": 0.25, "attention": {"type": "none", "n_head": 2}})
    assert planned(space, image_trial(0, 0.3), of=IMAGES).left_out == {"no parameter in common": 1}


def test_the_best_few_are_tried_first_each_once() -> None:
    losses = [0.5, 0.1, 0.4, 0.2, 0.3]
    trials = [image_trial(n, loss, **{"model.codebook_beta": 0.1 + loss}) for n, loss in enumerate(losses)]
    again = image_trial(5, 0.15, **{"model.codebook_beta": 0.2})
    start = planned(space_of(search={"sampler": {"startup_trials": 3}}), *trials, again, of=IMAGES)
    assert [point["model.codebook_beta"] for point in start.first_points] == pytest.approx([0.2, 0.3, 0.4])
    assert start.left_out == {"the same point as another": 1, "another data.type, and not among the best 3": 2}


def test_the_best_are_those_of_the_new_objectives_and_constraints() -> None:
    def trial(beta: float, loss: float, bits: float) -> TrialRecord:
        params = {"model.downsample": [4, 4], "model.codebook_beta": beta}
        return trial_of(IMAGES, loss=loss, metrics={"bits_per_element": bits}, params=params)

    trials = [
        trial(0.1, 0.01, 0.9),
        trial(0.2, 0.4, 0.4),
        trial(0.3, 0.3, 0.3),
        trial(0.4, 0.5, 0.2),
        trial(0.5, 0.1, 0.6),
    ]
    start = planned(space_of(search=TWO_OBJECTIVES), *trials, of=IMAGES)
    betas = [point["model.codebook_beta"] for point in start.first_points]
    assert set(betas[:2]) == {0.3, 0.4}  # the front of those within 0.5 bits
    assert betas[2:] == [0.2, 0.5, 0.1]  # behind the front, then the further over the budget the later


def test_a_point_that_is_known_already_is_not_tried_again() -> None:
    longer = space_of(training={"max_epochs": 20})
    start = planned(space_of(), trial_of(space_of()), trial_of(longer, 1))
    assert (len(start.known), start.first_points) == (1, ())
    assert start.left_out == {"the same point as another": 1}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": TrialState.FAILED, "error": "boom"}, "failed"),
        ({"state": TrialState.PRUNED, "stop_reason": StopReason.DIVERGED}, "diverged"),
        ({"role": Role.CONFIRM, "parent": 0}, "repeats another trial"),
        ({"reports": ()}, "no value of recon_loss"),
        ({"loss": math.nan}, "no value of recon_loss"),
        ({"metrics": {"fidelity": 0.25}}, "last measured on smaller samples"),
    ],
)
def test_nothing_is_learned_from_numbers_that_mean_nothing(changes: dict[str, Any], reason: str) -> None:
    assert planned(space_of(), trial_of(space_of(), **changes)) == WarmStart((), (), {reason: 1})


def test_trials_that_cannot_be_read_are_told_of() -> None:
    earlier = Earlier("of a later version", None, (), unreadable=3)
    assert plan(space_of(), [earlier]).left_out == {"a configuration that this version cannot read": 3}


@pytest.mark.parametrize("changes", [{"role": Role.EXPLOIT, "parent": 0}, {"rescues": (Rescue(1, "lower_beta"),)}])
def test_what_was_not_trained_as_its_configuration_says_is_a_point_only(changes: dict[str, Any]) -> None:
    assert planned(space_of(), trial_of(space_of(), **changes)) == WarmStart((), (POINT,), {})


def test_samples_that_grow_must_grow_alike() -> None:
    growing = space_of(search={"fidelity": {"resolution": [8, 16]}})
    later = space_of(search={"fidelity": {"resolution": [8, 16], "promote_after": [5]}})
    trial = trial_of(growing, epochs=2)
    small = {**trial.reports[0], "fidelity": 0.25}
    grown = TrialRecord(**{**trial.__dict__, "reports": (small, trial.reports[1])})
    assert planned(growing, grown).known == (grown,)
    assert planned(later, grown, of=growing).known == ()
    assert planned(space_of(), grown, of=growing).known == ()
    assert planned(growing, trial, of=space_of()).known == ()
    assert plan(growing, [Earlier("of an old version", None, (trial,))]).known == ()


def test_every_trial_is_accounted_for() -> None:
    wide = space_of(model={"n_codes": {"choice": [8, 16, 32, 64, 128]}, "codebook_beta": {"log_uniform": [0.01, 10]}})
    longer = space_of(training={"max_epochs": 20})
    trials = [
        trial_of(space, number, loss, params={"model.n_codes": codes, "model.codebook_beta": beta})
        for space in (wide, longer)
        for number, (loss, codes, beta) in enumerate(
            (0.1 * k, codes, beta) for k in range(3) for codes in (16, 64) for beta in (0.06, 1.0, 1.5)
        )
    ] + [trial_of(wide, params={"model.n_codes": 8}), trial_of(wide, state=TrialState.FAILED)]
    start = planned(space_of(), *trials)
    assert start.known
    assert start.left_out
    assert len(start.known) + len(start.first_points) + sum(start.left_out.values()) == len(trials)


def test_optuna_takes_what_is_known_and_tries_the_points_next(
    open_study: Callable[..., Study], read_back: Callable[[], list[Any]]
) -> None:
    space = space_of()
    known = [
        trial_of(space, n, 0.1 + n, epochs=2, state=s) for n, s in enumerate((TrialState.COMPLETED, TrialState.PRUNED))
    ]
    start = planned(space, *known, image_trial(2, 0.3, **{"model.codebook_beta": 0.25}), of=IMAGES)
    study = open_study(space)
    for trial in start.known:
        study.import_(trial)
    for point in start.first_points:
        study.enqueue(point)
    record = study.begin(study.propose())
    assert {key: record.params[key] for key in start.first_points[0]} == start.first_points[0]
    assert "model.downsample" in record.params
    completed, pruned = read_back()[:2]
    assert (completed.state, completed.values) == (OptunaState.COMPLETE, [0.1])
    assert (pruned.state, pruned.intermediate_values) == (OptunaState.PRUNED, {1: 1.1, 2: 1.1})
    assert completed.params["model.downsample"] == "[2, 2, 2]"


@pytest.mark.parametrize(("kind", "heads"), [("none", None), ("full", 4)])
def test_a_value_whose_condition_is_left_free_counts_where_that_holds(
    open_study: Callable[..., Study], kind: str, heads: int | None
) -> None:
    earlier = space_of(training={"max_epochs": 20}, model={"attention": {"type": "full", "n_head": {"choice": [1, 4]}}})
    (point,) = planned(space_of(), trial_of(earlier, params={"model.attention.n_head": 4})).first_points
    assert "model.attention.type" not in point
    assert point["model.attention.n_head"] == 4
    study = open_study(space_of(model={"attention": {"type": {"choice": [kind]}}}))
    study.enqueue(point)
    record = study.begin(study.propose())
    assert record.params.get("model.attention.n_head") == heads
    study.report(record.number, report(1))
    study.finish(record.number, TrialState.COMPLETED)
    assert study.begin(study.propose()).params["model.attention.type"] == kind


def test_known_trials_take_the_place_of_random_ones(open_study: Callable[..., Study]) -> None:
    """Of three startup trials two are known: the first is drawn at random, the second is the sampler's."""
    space = space_of(search={"sampler": {"startup_trials": 3}})
    study = open_study(space)
    for number in range(2):
        study.import_(trial_of(space, number, 0.1 + number))
    samplers = []
    for _ in range(2):
        study.begin(study.propose())
        samplers.append(type(study._study.sampler).__name__)
    assert samplers == ["Blind", "TPESampler"]


def test_the_journal_keeps_what_known_trials_reported(open_study: Callable[..., Study]) -> None:
    space = space_of()
    trials = [trial_of(space, 5, 0.3, epochs=2), trial_of(space, 7, 0.4, state=TrialState.PRUNED)]
    for trial in trials:
        open_study(space).import_(trial)
    kept = open_study(space).known
    assert [record.number for record in kept] == [-2, -3]
    for record, trial in zip(kept, trials, strict=True):
        assert record == replace(trial, number=record.number, started=None)


def test_known_trials_of_a_journal_of_0_1_have_no_reports(open_study: Callable[..., Study]) -> None:
    space, trial = space_of(), trial_of(space_of(), 5, 0.3)
    frozen = known_trial(trial, space)
    written = {name: value for name, value in frozen.user_attrs.items() if name in ("known", "params")}
    frozen._user_attrs = written
    open_study(space)._study.add_trial(frozen)
    (record,) = open_study(space).known
    assert (record.params, record.reports, record.state) == (trial.params, (), TrialState.COMPLETED)
    assert record.config == space.complete(trial.params)


def test_paths_are_compared_where_they_lead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    absolute = space_of(data={"path": str(tmp_path / "data/video_dataset")})
    assert len(planned(absolute, trial_of(space_of())).known) == 1
