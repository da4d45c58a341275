import math
from dataclasses import replace

import pytest

from ndvq_tune.records import SearchRecord, TrialState
from ndvq_tune.report.wording import circumstances, failures, mattered, metric_text, outcome, probability_text, rescues
from tests.report.report_examples import goals, make_trial


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("recon_loss", 0.07, "0.0700"),
        ("recon_loss", 123.4, "123"),
        ("recon_loss", math.nan, "-"),
        ("psnr", 24.04, "24.0"),
        ("perplexity", 340.2, "340"),
        ("perplexity", 1.04, "1.0"),
        ("codebook_usage", 0.456, "46%"),
        ("parameters", 1234567.0, "1,234,567"),
        ("psnr", None, "-"),
    ],
)
def test_metric_text(metric: str, value: float | None, text: str) -> None:
    assert metric_text(metric, value) == text


@pytest.mark.parametrize(
    ("probability", "text"), [(0.5, "50%"), (0.0001, "<1%"), (0.9999, ">99%"), (0.99, "99%"), (math.nan, "-")]
)
def test_probability_text(probability: float, text: str) -> None:
    assert probability_text(probability) == text


def test_repetitions_are_counted_apart(example: SearchRecord, eventful: SearchRecord) -> None:
    assert outcome(eventful) == f"{outcome(example)}; 9 repetitions"


def test_circumstances_are_told_where_there_are_any(eventful: SearchRecord, single: SearchRecord) -> None:
    assert circumstances(single) == []
    later = replace(single, unreadable={"model.new: unknown key": 2})
    assert circumstances(later) == ["left out 2 trials that cannot be read: model.new: unknown key"]
    assert circumstances(eventful) == [
        "ended early: its target was reached",
        "stopped early by scheduler 9, collapse 3, diverged 1",
        "31 configurations ruled out before training: 25 bits_per_element, 6 memory",
    ]


def test_the_most_frequent_errors_come_first_and_others_are_left_to_the_report(single: SearchRecord) -> None:
    errors = ["OSError: full\nTraceback", "ValueError: odd", "OSError: full", "KeyError: 1", "KeyError: 1"]
    trials = tuple(make_trial(n, state=TrialState.FAILED, error=error) for n, error in enumerate(errors))
    search = replace(single, trials=trials)
    assert failures(search) == ["2 trials failed: OSError: full", "2 trials failed: KeyError: 1"]
    assert failures(single) == []


def test_a_rescue_says_what_became_of_the_codebook(eventful: SearchRecord, single: SearchRecord) -> None:
    trial = eventful.trials[4]
    then, last = (100 * report["codebook_usage"] for report in (trial.reports[1], trial.metrics))
    assert rescues(eventful)[0] == (
        f"trial-0004: codes restarted after epoch 2 at {then:.0f}% usage, {last:.0f}% at last"
    )
    assert [line.split(":")[0] for line in rescues(eventful)] == [
        "trial-0004",
        "trial-0017",
        "trial-0017",
        "trial-0021",
    ]
    assert rescues(single) == []


def test_what_mattered_most_is_told_with_intervals_and_only_where_it_is_sure(
    eventful: SearchRecord, example: SearchRecord
) -> None:
    assert mattered(eventful) == (
        "What mattered most at equal bits: learning_rate 41% (28% to 54%), embedding_dim 20% (5% to 35%)."
    )
    assert mattered(replace(eventful, goals=goals("recon_loss"))).startswith("What mattered most: learning_rate")
    unsure = tuple(replace(importance, low=0.0) for importance in eventful.importances)
    assert mattered(replace(eventful, importances=unsure)) == mattered(example) == ""
