from pathlib import Path

import optuna
import pytest

from benchmarks import bookkeeping, official_recipe, overhead, searching
from benchmarks.report import wide_console
from benchmarks.turns import Pace, Report, Turn, turns
from benchmarks.watches import Watches
from ndvq_tune.config import RunConfig
from ndvq_tune.records import TrialRecord, TrialState
from ndvq_tune.search.engine.study import Study

TRIALS = 20


def reports(trial: str, *points: tuple[float, float]) -> list[Report]:
    return [Report(trial, at, trained) for at, trained in points]


def test_a_turn_lasts_from_one_trials_last_report_to_the_next_ones() -> None:
    found = turns([*reports("b", (16.0, 1.0), (18.0, 2.5)), *reports("a", (5.0, 1.0), (10.0, 2.0))], lanes=1)
    assert found == [Turn("b", seconds=8.0, trained=2.5)]
    assert found[0].overhead == 5.5


def test_a_trial_follows_the_one_that_left_its_lane_first() -> None:
    both = [*reports("a", (10.0, 1.0)), *reports("b", (12.0, 1.0))]
    later = [*reports("c", (14.0, 3.0)), *reports("d", (15.0, 2.0)), *reports("e", (20.0, 2.0))]
    assert turns([*both, *later], lanes=2) == [Turn("c", 4.0, 3.0), Turn("d", 3.0, 2.0), Turn("e", 6.0, 2.0)]


def test_lanes_that_have_had_one_trial_each_have_no_turns() -> None:
    assert turns([*reports("a", (10.0, 1.0)), *reports("b", (12.0, 1.0))], lanes=2) == []


def test_a_pace_is_of_all_lanes_together() -> None:
    pace = Pace("way", 2, 0.0, 0.0, (Turn("c", 4.0, 3.0), Turn("d", 3.0, 1.0), Turn("e", 5.0, 2.0)))
    assert pace.overheads == [1.0, 2.0, 3.0]
    assert pace.overhead == pace.trained == 2.0
    assert pace.per_minute == 2 * 60 / 4


def test_goals_compare_each_of_ours_with_the_recipe() -> None:
    fast, slow = (Pace(name, 1, 0.0, 0.0, (turn,)) for name, turn in [("a", Turn("x", 2, 1)), ("b", Turn("x", 31, 1))])
    assert [goal.measured for goal in overhead.goals_of([fast, slow])] == [30.0, 15.5]


def test_a_recipe_that_hung_from_the_start_gives_no_figures_and_no_goals() -> None:
    fast = Pace("a", 1, 0.0, 0.0, (Turn("x", 2, 1),))
    hung = Pace("b", 1, float("nan"), 99.0, (), "hung")
    assert overhead.goals_of([fast, hung]) == []
    assert overhead.paces_table([fast, hung]).row_count == 2


def test_where_the_output_is_no_terminal_tables_are_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    cost = bookkeeping.Cost("random", 800, 6400, 8.0, 8.0, 4.0, 1.0, 6.0, {200: 600_000_000}, (800, 6400))
    pace = Pace("ours, own process", 1, 16.9, 139.7, (Turn("x", 20, 1), Turn("y", 30, 1)))
    for table in (overhead.paces_table([pace]), overhead.costs_table([cost])):
        wide_console().print(table)
    assert "19.00-29.00" in (printed := capsys.readouterr().out)
    assert "…" not in printed


def test_the_recipe_searches_the_smoke_space(tmp_path: Path) -> None:
    space = searching.smoke_space(tmp_path, lanes=1, trials=3)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    run = RunConfig.model_validate(official_recipe.define(space, trial)["run"])
    assert trial.params.keys() == {parameter.key for parameter in space.searched}
    assert run.model.n_codes == trial.params["model.n_codes"]


def test_reports_of_ours_are_in_unix_time_once_a_trial_has_ended() -> None:
    space = searching.smoke_space(Path("folder"), lanes=1, trials=3)
    config, goals = space.complete({}), space.search.goals
    points = tuple({"epoch": n, "seconds": 10.0 * n, "training_seconds": 8.0 * n, "recon_loss": 1 / n} for n in (1, 2))
    waiting = TrialRecord(0, {}, config, reports=points)
    assert searching.reports_of([waiting], goals) == []
    ended = TrialRecord(1, {}, config, reports=points[:1], ended=1010.0)
    assert searching.reports_of([waiting, ended], goals) == [
        Report(waiting.name, 1010.0, 8.0, 1.0),
        Report(waiting.name, 1020.0, 16.0, 0.5),
        Report(ended.name, 1010.0, 8.0, 1.0),
    ]


def test_a_command_that_fails_is_no_measurement_but_a_problem(tmp_path: Path) -> None:
    space = searching.smoke_space(tmp_path, lanes=1, trials=1)
    pace = searching.measured("way", ["json.tool", "--no-such-option"], tmp_path, space, list)
    assert pace.turns == ()
    assert pace.problem is not None
    assert "unrecognized arguments: --no-such-option" in pace.problem


@pytest.mark.slow
def test_all_bookkeeping_is_done_when_the_time_is_taken(tmp_path: Path) -> None:
    space = bookkeeping.space_of(TRIALS, "random")
    cost = bookkeeping.measure(space, tmp_path, Watches())
    records = Study.open(tmp_path, space).records
    assert [record.state for record in records] == [TrialState.COMPLETED] * TRIALS
    assert [len(record.reports) for record in records] == [bookkeeping.REPORTS] * TRIALS
    assert cost.in_mlflow == (cost.trials, cost.reports) == (TRIALS, TRIALS * bookkeeping.REPORTS)
    assert 0 < cost.proposing < cost.driver <= cost.seconds


def test_memory_is_judged_by_its_growth_over_the_last_three_quarters() -> None:
    memory = {100: 500_000_000, 200: 600_000_000, 300: 610_000_000, 800: 640_000_000}
    cost = bookkeeping.Cost("random", 800, 6400, 8.0, 8.0, 4.0, 1.0, 6.0, memory, (800, 6399))
    rate, grown, missing = overhead.cost_goals(cost)
    assert (rate.measured, rate.reached) == (100, True)
    assert (grown.measured, grown.reached) == (40, True)
    assert (missing.measured, missing.reached) == (1, False)
    assert overhead.costs_table([cost]).row_count == 1
