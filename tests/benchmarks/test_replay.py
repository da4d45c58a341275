import io
import itertools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmarks import search
from benchmarks.replay import comparison, syne
from benchmarks.replay.baselines import OneEpochThenBest, PlainOptuna, RandomSearch
from benchmarks.replay.lookup import RATE, TELL_APART, Lookup
from benchmarks.replay.ours import Ours
from benchmarks.replay.outcome import Progress, estimate, gap_in_hypervolume, gap_in_loss
from benchmarks.replay.runs import Conditions, Run, run, run_all
from benchmarks.replay.simulator import Clock, Event, Proposal, Report, Strategy, simulate
from benchmarks.replay.stock import StockRay
from benchmarks.replay.strategies import BASELINES, KNOWING, OURS, RANDOM, STOCK, STRATEGIES, build
from benchmarks.replay.table import Curve, load_curves, load_space
from benchmarks.replay.task import BUDGET, FRONT, MAX_BITS, Scenario, Task, bits_of

SPACE = load_space()
EPOCHS = 27


def curve(number: int, losses: list[float], seconds: float = 1.0, bits: float = 0.1, **params: Any) -> Curve:
    reports = [
        {"epoch": float(epoch), "recon_loss": loss, "train_recon_loss": loss, "bits_per_element": bits}
        | {"codebook_usage": 0.9, "perplexity": 90.0}
        for epoch, loss in enumerate(losses, start=1)
    ]
    return Curve(number, params, tuple(seconds * n for n in range(1, len(losses) + 1)), tuple(reports))


@pytest.fixture(scope="module")
def curves() -> list[Curve]:
    """A table in which loss falls with learning rate and rises with downsampling, and nothing else matters."""
    recorded = []
    points = Task(FRONT, seed=0).random_points()
    for number, params in itertools.islice(points, 150):
        rate = params["training.learning_rate"]
        final = 0.1 * math.log2(math.prod(params["model.downsample"])) * (1 + math.log(5e-3 / rate)) / 10
        losses = [final * (1 + 3 * math.exp(-epoch / 5)) for epoch in range(1, EPOCHS + 1)]
        recorded.append(curve(number, losses, bits=bits_of(params), **params))
    return recorded


@pytest.fixture(scope="module")
def lookup(curves: list[Curve]) -> Lookup:
    return Lookup(SPACE, curves)


@pytest.fixture(scope="module")
def table(curves: list[Curve], tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {"number": c.number, "params": json.dumps(c.params), "seconds": seconds, **report}
        for c in curves
        for seconds, report in zip(c.seconds, c.reports, strict=True)
    ]
    path = tmp_path_factory.mktemp("replay") / "table.parquet"
    pd.DataFrame(rows).sample(frac=1, random_state=0).to_parquet(path)
    return path


class Scripted:
    """Proposes what it is given, and leaves trials at given epochs."""

    def __init__(self, proposals: list[int], leaves: Mapping[int, int] | None = None) -> None:
        self._proposals, self._leaves = proposals, leaves or {}
        self.heard: list[str] = []

    def next(self) -> Proposal | None:
        return Proposal(number := self._proposals.pop(0), {"n": number}) if self._proposals else None

    def report(self, number: int, report: Report) -> bool:
        self.heard.append(f"{number} epoch {report['epoch']:.0f}")
        return self._leaves.get(number) == report["epoch"]

    def done(self, number: int) -> None:
        self.heard.append(f"{number} done")


def replay(strategy: Strategy, trainings: dict[int, Curve], lanes: int = 2, budget: float = 1e9) -> list[Event]:
    return simulate(strategy, lambda p: trainings[p["n"]], Clock(), lanes=lanes, budget=budget, overhead=0.5)


def test_reports_come_in_the_order_of_simulated_time() -> None:
    strategy = Scripted([0, 1, 2])
    events = replay(strategy, {0: curve(0, [3, 2], 2.0), 1: curve(1, [1, 1, 1], 1.0), 2: curve(2, [5], 0.25)})
    assert [(event.seconds, event.number) for event in events] == [
        (1.5, 1), (2.5, 0), (2.5, 1), (3.5, 1), (4.25, 2), (4.5, 0),
    ]  # fmt: skip
    assert strategy.heard[:5] == ["1 epoch 1", "0 epoch 1", "1 epoch 2", "1 epoch 3", "1 done"]


def test_a_trial_that_left_its_lane_goes_on_where_it_was_when_it_is_proposed_again() -> None:
    strategy = Scripted([0, 1, 0], leaves={0: 1})
    events = replay(strategy, {0: curve(0, [3, 2, 1]), 1: curve(1, [5])}, lanes=1)
    assert [(event.seconds, event.report["recon_loss"]) for event in events] == [(1.5, 3), (3, 5), (4.5, 2), (5.5, 1)]


def test_a_run_ends_with_its_budget_and_overheads_count() -> None:
    events = replay(Scripted([0, 1]), {0: curve(0, [3, 2]), 1: curve(1, [5])}, lanes=1, budget=3.9)
    assert [event.seconds for event in events] == [1.5, 2.5]


def test_idle_lanes_ask_again_when_something_has_happened() -> None:
    class Waits(Scripted):
        def next(self) -> Proposal | None:
            return super().next() if not self.heard or len(self.heard) > 2 else None

    waits = Waits([0, 1, 2], leaves={0: 1})
    times = [(e.seconds, e.number) for e in replay(waits, {n: curve(n, [1], 1.0 + n) for n in range(3)})]
    assert times == [(1.5, 0), (2.5, 1), (6.0, 2)]


def test_what_was_recorded_is_found_exactly(curves: list[Curve], lookup: Lookup) -> None:
    assert all(lookup(dict(reversed(list(recorded.params.items())))) is recorded for recorded in curves)


def test_the_rate_of_a_stand_in_is_the_right_one(lookup: Lookup) -> None:
    for _, params in itertools.islice(Task(FRONT, seed=1).random_points(), 100):
        stand_in = lookup(params)
        assert all(stand_in.params[key] == params[key] for key in RATE)
        assert stand_in.bits == bits_of(params)


def test_nearness_counts_what_matters(curves: list[Curve], lookup: Lookup) -> None:
    assert max(lookup.weights, key=lambda key: lookup.weights[key]) == "training.learning_rate"
    assert sum(lookup.weights.values()) == pytest.approx(1)
    found = lookup.stand_in()
    assert found.within_rate > 0.9
    assert found.cost_error == 0


def test_configurations_with_one_stand_in_are_told_apart(curves: list[Curve], lookup: Lookup) -> None:
    changed = {**curves[0].params, "model.ema_decay": curves[0].params["model.ema_decay"] + 1e-9}
    stand_in = lookup(changed)
    assert stand_in.number == curves[0].number
    assert 0 < stand_in.final / curves[0].final - 1 < TELL_APART
    assert lookup(changed) is stand_in


def test_a_table_is_read_as_it_was_written(table: Path, curves: list[Curve]) -> None:
    assert list(load_curves(table)) == curves


@pytest.mark.parametrize(
    ("values", "median"),
    [
        ([1.0, 2.0, 3.0], 2),
        ([1.0, 2.0, math.inf], 2),
        ([1.0, math.inf, math.inf], math.inf),
        ([1.0, 2.0, 3.0, math.inf], 2.5),
        ([1.0, 2.0, math.inf, math.inf], math.inf),
        ([math.inf] * 4, math.inf),
    ],
)
def test_a_run_that_never_got_there_is_later_than_all_others(values: list[float], median: float) -> None:
    found = estimate(values)
    assert found.median == median
    assert found.low <= found.median <= found.high
    assert not math.isnan(found.low + found.high)


def test_the_interval_is_that_of_order_statistics() -> None:
    # The exact interval of a median: the order statistics that a binomial distribution leaves 2.5% beyond.
    found = estimate([float(n) for n in np.random.default_rng(1).permutation(101)])
    assert found.median == 50
    assert found.low == pytest.approx(40, abs=2)
    assert found.high == pytest.approx(60, abs=2)


def event(seconds: float, loss: float, bits: float) -> Event:
    return Event(seconds, 0, {"recon_loss": loss, "bits_per_element": bits})


def test_only_what_keeps_the_budget_closes_the_gap_in_loss() -> None:
    recorded = [curve(0, [0.4, 0.2, 0.3], bits=0.1), curve(1, [0.1], bits=0.2)]
    events = [event(1, 0.1, 0.2), event(2, 0.3, 0.1), event(3, 0.4, 0.1), event(4, 0.2, 0.1)]
    progress = gap_in_loss(events, recorded, max_bits=0.11)
    assert progress.seconds == (2, 4)
    assert progress.gaps == pytest.approx((0.5, 0.0))
    assert [progress.at(time) for time in (1, 2, 3.9, 9)] == pytest.approx([math.inf, 0.5, 0.5, 0.0])
    assert [progress.reached(gap) for gap in (0.6, 0.1)] == [2, 4]


def test_the_gap_in_hypervolume_is_the_missing_share() -> None:
    recorded = [curve(0, [1.0], bits=0.1), curve(1, [0.5], bits=0.2)]
    worst_loss, worst_bits = 1.1, 0.22
    both = (worst_loss - 1) * (worst_bits - 0.1) + (1 - 0.5) * (worst_bits - 0.2)
    first = (worst_loss - 0.5) * (worst_bits - 0.2)
    progress = gap_in_hypervolume([event(1, 0.5, 0.2), event(2, 0.5, 0.2), event(3, 1.0, 0.1)], recorded)
    assert progress.seconds == (1, 3)
    assert progress.gaps == pytest.approx((1 - first / both, 0))


def runs_of(*times: float) -> list[Run]:
    return [
        Run("s", "x", seed, Progress((time,), (0.05,)) if math.isfinite(time) else Progress((), ()), 1, 1)
        for seed, time in enumerate(times)
    ]


@pytest.mark.parametrize(
    ("slow", "fast", "ratio"),
    [(40.0, 10.0, 4), (math.inf, 10.0, 10), (10.0, math.inf, 0), (math.inf, math.inf, 1), (5.0, 10.0, 0.5)],
)
def test_who_never_gets_there_counts_as_there_at_the_end(slow: float, fast: float, ratio: float) -> None:
    assert comparison.speedup(runs_of(slow), runs_of(fast), 0.05, budget=100) == ratio


def test_goals_are_those_asked_for_beside_each_baseline() -> None:
    runs = {OURS: runs_of(10), RANDOM: runs_of(49), STOCK: runs_of(15), f"{RANDOM}{KNOWING}": runs_of(51)}
    runs |= {"one epoch of 20, then best": runs_of(20), "one epoch of 40, then best": runs_of(11)}
    found = list(comparison.goals("budget", comparison.with_best_one_epoch(runs), budget=100))
    assert [(goal.measured, goal.bound, goal.reached) for goal in found] == [
        (4.9, 5, False), (5.1, 5, True), (1.5, 1.5, True), (1, 1, True), (1.1, 1, True), (1.1, 1, True),
    ]  # fmt: skip


def events_of(name: str, scenario: Scenario, lookup: Lookup) -> list[Event]:
    clock = Clock()
    return simulate(build(name, Task(scenario, 3, clock)), lookup, clock, lanes=2, budget=40)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_does_the_same_again(name: str, lookup: Lookup) -> None:
    events = events_of(name, BUDGET, lookup)
    assert len(events) > 30
    assert events == events_of(name, BUDGET, lookup)


@pytest.mark.parametrize("name", [*BASELINES, OURS])
def test_every_strategy_also_searches_for_a_front(name: str, lookup: Lookup) -> None:
    assert len(events_of(name, FRONT, lookup)) > 30


@pytest.mark.parametrize("make", [RandomSearch, PlainOptuna, StockRay])
def test_who_knows_the_budget_trains_nothing_beyond_it(make: Callable[[Task], Strategy], lookup: Lookup) -> None:
    def most_bits(knows: bool) -> float:
        task = Task(BUDGET, 0, knows_budget=knows)
        return max(e.report["bits_per_element"] for e in simulate(make(task), lookup, task.clock, lanes=2, budget=60))

    assert most_bits(knows=True) <= MAX_BITS < most_bits(knows=False)


def test_preflight_rejects_what_breaks_the_budget_before_it_is_trained(lookup: Lookup) -> None:
    def most_bits(preflight: bool) -> float:
        task = Task(BUDGET, 0)
        strategy = Ours(task, preflight=preflight)
        return max(e.report["bits_per_element"] for e in simulate(strategy, lookup, task.clock, lanes=2, budget=60))

    assert most_bits(preflight=True) <= MAX_BITS < most_bits(preflight=False)


def test_one_epoch_first_then_the_best_in_full(lookup: Lookup) -> None:
    task = Task(BUDGET, 0)
    events = simulate(OneEpochThenBest(task, points=10), lookup, task.clock, lanes=3, budget=1e9)
    assert [event.report["epoch"] for event in events[:10]] == [1] * 10
    assert len(events) == 10 * EPOCHS
    rank = sorted(events[:10], key=lambda e: (e.report["bits_per_element"] > MAX_BITS, e.report["recon_loss"]))
    second = list(dict.fromkeys(event.number for event in events[10:]))
    assert second == [event.number for event in rank]


def test_random_search_takes_as_long_as_it_should_on_a_table_where_the_answer_is_known(
    lookup: Lookup, curves: list[Curve]
) -> None:
    task = Task(BUDGET, 5)
    events = simulate(RandomSearch(task), lookup, task.clock, lanes=1, budget=1500)
    points = itertools.islice(Task(BUDGET, 5).random_points(), 100)
    goal = min(c.lowest for c in curves if c.bits <= MAX_BITS)
    good = next(n for n, p in points if lookup(p).bits <= MAX_BITS and lookup(p).final <= 1.5 * goal)
    before, progress = good * (EPOCHS + 0.4), gap_in_loss(events, curves, MAX_BITS)
    assert before < progress.reached(0.5) <= before + EPOCHS + 0.4


def test_runs_do_not_depend_on_how_many_processes_run_them(table: Path) -> None:
    conditions = Conditions(table, lanes=2, budget=40)
    jobs = [(conditions, BUDGET, name, seed) for name in (RANDOM, OURS) for seed in (0, 1)]
    assert list(run_all(jobs, processes=1)) == [run(job) for job in jobs]


def test_the_command_prints_times_gaps_goals_and_how_good_the_stand_in_is(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    monkeypatch.setattr(search, "wide_console", lambda: console)
    report, picture = tmp_path / "report.json", tmp_path / "picture.png"
    command = f"search --table {table} --seeds 2 --trainings 3 --processes 1 --json {report} --picture {picture}"
    monkeypatch.setattr("sys.argv", [*command.split(), "--strategies", RANDOM, "one epoch of 20, then best", OURS])
    search.main()
    text = console.export_text()
    for words in ("rank correlation", "simulated seconds to within", "gap at a share", "Goals", RANDOM + KNOWING):
        assert words in text
    assert ("Syne Tune is not installed" in text) is not syne.INSTALLED
    written = json.loads(report.read_text())
    assert {len(runs) for rows in written["runs"].values() for runs in rows.values()} == {2}
    assert all(goal["bound"] for goal in written["goals"])
    assert picture.stat().st_size > 10_000
