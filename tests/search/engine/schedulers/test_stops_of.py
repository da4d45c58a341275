import pytest

from ndvq_tune.search.engine.schedulers import stops_of
from tests.search.engine.schedulers.scheduler_examples import settings_of, trial

OTHERS = [trial(number, *[0.1] * 9) for number in range(8)]


@pytest.mark.parametrize(
    ("scheduler", "ends"), [("asha", True), ("hyperband", True), ("median", True), ("pbt", False), ("none", False)]
)
def test_every_scheduler_of_the_settings_has_a_rule(scheduler, ends):
    stops = stops_of(settings_of(scheduler={"type": scheduler}), 9)
    assert stops(trial(9, 0.9, 0.9), OTHERS) is ends
    assert not stops(trial(9, 0.1, 0.1), OTHERS)
