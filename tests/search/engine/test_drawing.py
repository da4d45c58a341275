import random
from collections import Counter

import pytest

from ndvq_tune.search.engine.drawing import CHANGES, Drawing
from tests.search.search_examples import space_of

SPACE = space_of(training={"gradient_clip": {"int_uniform": [1, 3]}, "learning_rate": {"uniform": [0.001, 0.003]}})
KNOWN = {
    "model.n_codes": 16,
    "model.downsample": [2, 2, 2],
    "model.codebook_beta": 0.5,
    "model.attention.type": "axial",
    "model.attention.n_head": 4,
    "training.gradient_clip": 2,
    "training.learning_rate": 0.001,
}


@pytest.fixture
def points() -> list[dict]:
    drawing, chance = Drawing(SPACE), random.Random(0)
    return [drawing.anywhere(chance) for _ in range(3000)]


@pytest.fixture
def neighbours() -> list[dict]:
    drawing, chance = Drawing(SPACE), random.Random(0)
    return [drawing.near(KNOWN, chance) for _ in range(3000)]


def changed(point: dict) -> list[str]:
    return [key for key in KNOWN if key in point and point[key] != KNOWN[key]]


def test_every_point_is_a_point_of_the_space(points, neighbours):
    for point in points[:100] + neighbours[:100]:
        config = SPACE.complete(point)
        assert config.model.n_codes == point["model.n_codes"]
        active = {parameter.key for parameter in SPACE.searched if SPACE.active(parameter, point)}
        assert point.keys() == active


def test_values_are_drawn_evenly_by_the_scale_of_their_range(points):
    for key, values in {"model.n_codes": (16, 32, 64), "training.gradient_clip": (1, 2, 3)}.items():
        counts = Counter(point[key] for point in points)
        assert counts.keys() == set(values)
        assert all(880 < count < 1120 for count in counts.values())
    betas = sorted(point["model.codebook_beta"] for point in points)
    assert betas[1500] == pytest.approx((0.05 * 2.0) ** 0.5, rel=0.2)
    rates = sorted(point["training.learning_rate"] for point in points)
    assert rates[1500] == pytest.approx(0.002, rel=0.05)


def test_a_neighbour_differs_in_a_few_parameters_and_a_little(neighbours):
    counts = [len(changed(point)) for point in neighbours]
    assert 0.7 * CHANGES < sum(counts) / len(counts) < CHANGES  # a step to the same whole number is none
    assert {point["model.n_codes"] for point in neighbours} == {16, 32}  # 64 is not next to 16
    assert all(0.05 <= point["model.codebook_beta"] <= 2.0 for point in neighbours)
    steps = [p["model.codebook_beta"] / 0.5 for p in neighbours if p["model.codebook_beta"] not in (0.05, 0.5, 2.0)]
    assert sum(1 / 40**0.3 < step < 40**0.3 for step in steps) > 0.9 * len(steps)  # 2 deviations of a range of 40 to 1
    assert {point["training.gradient_clip"] for point in neighbours} == {1, 2, 3}


def test_a_parameter_that_begins_to_count_is_drawn(neighbours):
    without = {key: value for key, value in KNOWN.items() if key != "model.attention.n_head"}
    drawing, chance = Drawing(SPACE), random.Random(1)
    found = [drawing.near(without | {"model.attention.type": "none"}, chance) for _ in range(400)]
    assert {point.get("model.attention.n_head") for point in found} == {None, 1, 4}
    assert any("model.attention.n_head" not in point for point in neighbours)


def test_an_equal_seed_draws_equal_points():
    drawing = Drawing(SPACE)
    assert drawing.near(KNOWN, random.Random(3)) == drawing.near(KNOWN, random.Random(3))
    assert drawing.anywhere(random.Random(3)) != drawing.anywhere(random.Random(4))
