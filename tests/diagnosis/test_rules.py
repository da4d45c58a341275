"""The diagnosis of whole searches."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ndvq_tune.diagnosis.case import Asked, Case
from ndvq_tune.diagnosis.convergence import still_falling
from ndvq_tune.diagnosis.finding import Verdict
from ndvq_tune.diagnosis.generalisation import overfits
from ndvq_tune.diagnosis.rules import OF_THE_MODEL, OF_THE_SEARCH, diagnose
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Baseline, SearchRecord, StopReason, TrialRecord, TrialState
from ndvq_tune.search.space import SearchSpace
from tests.diagnosis.diagnosis_examples import ASKED, LOSSES, search_of, spread, trial_of

REPLAY = Path(__file__).parents[2] / "benchmarks" / "replay"


def test_of_a_healthy_search_nothing_is_said_but_ready() -> None:
    diagnosis = diagnose(Standing(search_of(*spread())), ASKED)
    assert (diagnosis.verdict, diagnosis.findings, diagnosis.first) == (Verdict.READY, (), None)
    assert diagnosis.why == "its loss has levelled off, and nothing speaks against it"


def test_a_model_that_is_ready_is_said_to_be_as_good_as_it_is_beside_plain_methods() -> None:
    plain = (Baseline("mean", 1.0), Baseline("bicubic", 0.1), Baseline("JPEG", 0.02, 0.24), Baseline("WebP", 0.01, 0.3))
    (trial, *others) = spread()
    diagnosis = diagnose(Standing(search_of(trial, *others, baselines=plain)), ASKED)  # 0.05 at 0.25 bits an element
    assert diagnosis.verdict is Verdict.READY
    assert diagnosis.why == (
        "its loss has levelled off, and nothing speaks against it; "
        "it is 50% below that of bicubic and 2.5 times that of JPEG at as many bits"
    )
    without = diagnose(Standing(search_of(trial, *others, baselines=plain[:2])), ASKED)
    assert without.why.endswith("; it is 50% below that of bicubic")


def test_without_a_model_there_is_no_verdict_but_what_ended_the_trials_is_said() -> None:
    diverged = [replace(t, state=TrialState.PRUNED, stop_reason=StopReason.DIVERGED) for t in spread()]
    diagnosis = diagnose(Standing(search_of(*diverged)), ASKED)
    assert (diagnosis.verdict, diagnosis.why) == (None, "no trial has led to a model yet")
    assert [finding.rule for finding in diagnosis.findings] == ["one_cause"]


def test_the_gravest_sign_makes_the_verdict_and_what_can_be_run_comes_first_to_do() -> None:
    falling = [0.5 * 0.95**epoch for epoch in range(24)]
    trial = trial_of(losses=falling, sample_losses=(0.1, 0.2))
    diagnosis = diagnose(Standing(search_of(trial, baselines=(Baseline("bicubic", 0.01),))), Asked())
    assert [f.rule for f in diagnosis.findings] == ["loses_to_baseline", "still_falling", "too_little_test_data"]
    assert diagnosis.verdict is Verdict.NOT_BETTER
    assert diagnosis.why == diagnosis.findings[0].sign
    assert diagnosis.first is diagnosis.findings[1]


def test_every_rule_names_itself() -> None:
    names = [rule.__name__ for rule in (*OF_THE_MODEL, *OF_THE_SEARCH)]
    assert len(set(names)) == len(names)
    trial = trial_of(losses=[0.95] * 3, sample_losses=(0.9,), curves={"perplexity": [1.0] * 3})
    case = Case(Standing(search_of(trial)), ASKED)
    for rule in OF_THE_MODEL:
        assert {finding.rule for finding in rule(trial, case)} <= {rule.__name__}


def test_samples_of_a_smaller_size_are_not_part_of_a_curve() -> None:
    trial = trial_of(losses=[0.9, 0.5, 0.3, *LOSSES[10:]])
    reports = tuple({**report, "fidelity": 0.25 if report["epoch"] <= 3 else 1.0} for report in trial.reports)
    diagnosis = diagnose(Standing(search_of(replace(trial, reports=reports))), Asked())
    assert diagnosis.verdict is Verdict.READY


@pytest.fixture(scope="module", params=["video3d", "signal1d"])
def recorded(request: pytest.FixtureRequest) -> SearchRecord:
    """All recorded trainings of a space as one search."""
    space = SearchSpace.load(REPLAY / f"{request.param}.yaml")
    table = pq.read_table(REPLAY / f"{request.param}.parquet").to_pandas()
    if "seed" in table:
        table = table[table.seed == 0].drop(columns="seed")
    trials = []
    for number, rows in table.groupby("number"):
        params = json.loads(rows.params.iloc[0])
        reports = tuple(rows.sort_values("epoch").drop(columns=["params", "number"]).to_dict("records"))
        trials.append(
            TrialRecord(int(number), params, space.complete(params), TrialState.COMPLETED, reports, checkpoint="kept")
        )
    return SearchRecord(space.name, tuple(trials), space.search.goals)


def test_recorded_trainings_are_seldom_suspected(recorded: SearchRecord) -> None:
    """What confidence means: signs of middle confidence are rare where training went well, but for ends that fall."""
    case = Case(Standing(recorded))
    for rule in OF_THE_MODEL:
        found = [f for trial in recorded.trials for f in rule(trial, case) if f.confidence != "low"]
        rare = 0.5 if rule is still_falling else 0.08
        assert len(found) <= rare * len(recorded.trials), rule.__name__


def test_recorded_trainings_that_are_called_overfitted_are_worse_than_the_others(recorded: SearchRecord) -> None:
    case = Case(Standing(recorded))
    gaps = {t.number: t.metrics["recon_loss"] / t.metrics["train_recon_loss"] for t in recorded.trials}
    called = [t.number for t in recorded.trials if list(overfits(t, case))]
    assert called
    usual = sorted(gaps.values())[len(gaps) // 2]
    assert sorted(gaps[number] for number in called)[len(called) // 2] > usual
