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
