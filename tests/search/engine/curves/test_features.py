import pytest

from ndvq_tune.search.engine.curves.features import Features
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.yaml_file import from_overrides
from tests.search.search_examples import space_of

POINT = {
    "model.n_codes": 32,
    "model.downsample": [1, 4, 4],
    "model.codebook_beta": 0.05 * 40**0.25,
    "model.attention.type": "axial",
    "model.attention.n_head": 4,
}


def test_each_parameter_is_scaled_as_its_kind_is():
    assert Features(space_of())(POINT) == pytest.approx((0.5, 0, 1, 1, 0.25, 0, 1, 0, 1))


def test_a_parameter_that_does_not_count_lies_halfway():
    without = {key: value for key, value in POINT.items() if key != "model.attention.n_head"}
    assert Features(space_of())(without | {"model.attention.type": "none"})[-4:] == (1, 0, 0, 0.5)


@pytest.mark.parametrize(
    ("key", "leaf", "value", "expected"),
    [
        ("model.ema_decay", "{uniform: [0.8, 0.9]}", 0.825, (0.25,)),
        ("model.ema_decay", "{uniform: [0.9, 0.9]}", 0.9, (0.5,)),
        ("model.n_codes", "{int_uniform: [100, 300]}", 150, (0.25,)),
        ("model.n_codes", "{choice: [1024, 64, 256]}", 256, (0.5,)),
        ("model.dropout", "{choice: [0.0, 0.1, 0.2]}", 0.2, (0, 0, 1)),  # 0 has no logarithm
        ("training.compile", "{choice: [true, false]}", True, (1, 0)),
    ],
)
def test_ranges_and_choices(key, leaf, value, expected):
    space = SearchSpace.from_document(from_overrides(["name=one", f"{key}={leaf}"]))
    assert Features(space)({key: value}) == pytest.approx(expected)
