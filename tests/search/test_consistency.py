import pytest

from ndvq_tune.errors import ConfigError, Problem
from ndvq_tune.search.consistency import check, check_samples
from tests.search.search_examples import space_of

SSIM = {"objectives": [{"metric": "ssim", "mode": "max"}]}
MS_SSIM = {"constraints": [{"metric": "ms_ssim", "at_least": 0.9}]}
SMALL_FRAMES = "ms_ssim needs images or frames of at least 176 x 176 pixels; these have 64 x 64"


def problems(space) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        check(space)
    return caught.value.problems


def stages(*sizes: int) -> dict:
    return {"data": {"resolution": sizes[-1]}, "search": {"fidelity": {"resolution": list(sizes)}, **MS_SSIM}}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"search": MS_SSIM}, "search.constraints"),
        ({"search": {"until": {"ms_ssim": 0.9}}}, "search.until"),
        ({"search": {"objectives": [{"metric": "ms_ssim", "mode": "max"}], **MS_SSIM}}, "search.objectives"),
        ({"training": {"validation_metrics": ["ssim", "ms_ssim"]}}, "training.validation_metrics"),
    ],
)
def test_a_metric_that_the_samples_are_too_small_for_is_told_by_the_key_that_names_it(changes, key):
    assert problems(space_of(data={"resolution": 64}, **changes)) == (Problem(key, SMALL_FRAMES),)


def test_what_validation_measures_is_not_searched():
    space = space_of(training={"validation_metrics": {"choice": [["ms_ssim"], ["ssim"]]}})
    reason = "is not searched, as trials would not compare; give all that are wanted"
    assert problems(space) == (Problem("training.validation_metrics", reason),)


def test_a_metric_that_only_the_samples_of_a_stage_are_too_small_for_is_told_too():
    assert problems(space_of(**stages(64, 176))) == (Problem("search.fidelity", SMALL_FRAMES),)
    assert problems(space_of(**stages(32, 64))) == (Problem("search.constraints", SMALL_FRAMES),)
    check(space_of(**stages(176, 256)))


def test_a_metric_of_frames_is_told_where_samples_have_none():
    space = space_of(search=SSIM)
    check(space)
    check_samples(space, (3, 16, 16))
    with pytest.raises(ConfigError, match=r"small: search\.objectives: ssim is for images .*are 1D"):
        check_samples(space, (1, 1024))


PROMOTE = {"scheduler": {"type": "promote"}}


@pytest.mark.parametrize("search", [PROMOTE, {"sampler": {"type": "curves"}}], ids=["promote", "curves"])
@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        (("recon_loss",), False),
        (("recon_loss", "bits_per_element"), False),
        (("psnr", "parameters"), False),
        (("bits_per_element",), True),
        (("recon_loss", "codebook_usage"), True),
        (("recon_loss", "bits_per_element", "parameters"), True),
    ],
)
def test_the_model_of_curves_takes_one_objective_that_is_learned_and_one_that_is_known(search, metrics, told):
    modes = {"psnr": "max", "codebook_usage": "max"}
    objectives = [{"metric": metric, "mode": modes.get(metric, "min")} for metric in metrics]
    space = space_of(search={**search, "objectives": objectives})
    if told:
        (problem,) = problems(space)
        assert problem.key == "search.objectives"
        assert "bits_per_element, parameters" in problem.message
    else:
        check(space)


@pytest.mark.parametrize("fidelity", [{"unit": "seconds"}, {"resolution": [8, 16]}])
def test_promotion_counts_epochs_at_full_size(fidelity):
    (problem,) = problems(space_of(search={**PROMOTE, "fidelity": fidelity}))
    assert (problem.key, problem.message.split(":")[0]) == ("search.fidelity", "promote")


@pytest.mark.parametrize("name", ["grid", "qmc"])
def test_what_takes_points_as_they_come_has_no_use_for_a_belief(name):
    believing = {"model": {"n_codes": {"choice": [16, 64], "prefer": 64}}}
    found = problems(space_of(search={"sampler": {"type": name}}, **believing))
    assert [problem.key for problem in found] == ["search.sampler.type"]
    assert "model.n_codes" in found[0].message
    check(space_of(search={"sampler": {"type": "tpe"}}, **believing))
