import pytest

from ndvq_tune.config import RunConfig
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.tune.callback import precision_note


def trial(precision: str, **metrics: float) -> TrialRecord:
    config = RunConfig.model_validate({"training": {"precision": precision}})
    return TrialRecord(7, {}, config, reports=({"epoch": 1.0, **metrics},))


@pytest.mark.parametrize(
    ("precision", "metrics"),
    [
        ("fp32", {"bf16_layers": 0.0}),
        ("bf16", {"bf16_layers": 1.0}),
        ("bf16", {}),  # of an earlier release, or an error
    ],
)
def test_nothing_is_said_of_a_precision_that_is_as_asked_for(precision, metrics):
    assert precision_note(trial(precision, **metrics)) is None


def test_it_is_said_that_a_processor_has_no_bf16():
    note = precision_note(trial("bf16", bf16_layers=0.0))
    assert note.startswith("trial-0007: it trains in fp32")
    assert "no instructions" in note


def test_it_is_said_how_many_layers_are_wrong_in_bf16():
    note = precision_note(trial("bf16", bf16_layers=0.75))
    assert note.startswith("trial-0007: 25% of its layers train in fp32")
    assert "wrong results" in note
