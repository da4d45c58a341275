"""Searches that are interrupted, killed, or lose a lane, and go on."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from ndvq_tune.report.lanes import visits
from ndvq_tune.search.earlier.reading import read_search
from tests.end_to_end import states
from tests.end_to_end.workplace import TINY, Workplace, wait_for

pytestmark = pytest.mark.chaos

Reported = dict[int, dict[int, float]]

# Trials that are long enough to be hit in the middle, and all of which end well.
LONG = [
    *("--space", str(TINY), "--trials", "4", "--set", "training.max_epochs=40"),
    *("--set", "training.loss.spectral_weight=0", "--set", "training.learning_rate=1e-3"),
    *("--set", "search.scheduler={type: none}", "--set", "search.stop={plateau: null}"),
]

# Eight trials of up to nine epochs that wait after one and three of them.
PROMOTED = [
    *("--trials", "8", "--set", "training.max_epochs=9", "--set", "search.scheduler={type: promote}"),
    *("--set", "search.sampler={type: curves, startup_trials: 4}"),
]

# Faster to start, where the test is not about lanes.
OWN_PROCESS = ["--set", "search.resources.workers_per_trial=0"]


def epochs(workplace: Workplace) -> int:
    return workplace.log.count(" epoch ")


def reported(workplace: Workplace) -> Reported:
    """What the journal says that each trial has reported."""
    return {trial.number: trial.intermediate_values for trial in states.optuna_trials(workplace.results)}


def kill_once_more(workplace: Workplace, after: int) -> None:
    """Let a search go on, kill it after so many epochs, and let it go on to its end."""
    more = epochs(workplace) + after
    search = workplace.start("--resume", "--output", "runs/tiny")
    wait_for(lambda: epochs(workplace) >= more)
    search.kill()
    search.wait()

    done = workplace.run("--resume", "--output", "runs/tiny")
    assert done.returncode == 0, done.stdout + done.stderr


def assert_kept(before: Reported, workplace: Workplace) -> None:
    """All that was reported is there still, but for the last epoch, whose checkpoint may not have been written."""
    after = reported(workplace)
    for number, values in before.items():
        saved = {step: value for step, value in values.items() if step < max(values, default=0)}
        assert saved.items() <= after[number].items()


def assert_whole(workplace: Workplace) -> None:
    """Four completed trials of forty epochs each: nothing lost, doubled, or left running in any of the three."""
    ended = states.optuna_states(workplace.results)
    assert list(ended.values()) == ["completed"] * 4
    assert ended == states.mlflow_states(workplace.folder) == states.tune_states(workplace.results)
    for trial in states.optuna_trials(workplace.results):
        assert sorted(trial.intermediate_values) == list(range(1, 41))


def test_a_search_that_is_interrupted_and_then_killed_loses_nothing(workplace: Workplace) -> None:
    search = workplace.start(*LONG, *OWN_PROCESS)
    wait_for(lambda: epochs(workplace) >= 30)
    search.send_signal(signal.SIGINT)
    assert search.wait(timeout=60) == 130
    assert "--resume --output runs/tiny" in workplace.log
    assert "--resume --output runs/tiny goes on" in (workplace.results / "report.html").read_text()
    before = reported(workplace)
    parent, runs = states.mlflow_runs(workplace.folder)
    assert "RUNNING" not in {run.info.status for run in (parent, *runs.values())}

    kill_once_more(workplace, 30)
    assert_whole(workplace)
    assert_kept(before, workplace)


def test_a_lane_that_is_killed_is_replaced_and_its_trial_goes_on(workplace: Workplace) -> None:
    search = workplace.start(*LONG)
    for process, why in (("RayTrainWorker", "a training process ended unexpectedly"), ("TrialActor", "The actor died")):
        seen = epochs(workplace)
        wait_for(lambda so_far=seen: epochs(workplace) >= so_far + 12)  # type: ignore[misc]
        victim = next(pid for pid in descendants(search.pid) if f"ray::{process}" in command_line(pid))
        subprocess.run(["kill", "-9", str(victim)], check=True)
        lost = rf"its process was lost; it goes on from epoch \d+ in a new one \(.*{why}"
        wait_for(lambda text=lost: re.search(text, workplace.log) is not None)  # type: ignore[misc]
    assert search.wait(timeout=400) == 0, workplace.log
    assert_whole(workplace)
    _, found = read_search(workplace.results)
    stays = [trial.stays for trial in found.trials]
    assert sum(len(each) - 1 for each in stays) == 2  # the trial of each lost lane came to another one
    assert all(stay.ended is not None for each in stays for stay in each)
    lanes, rows = {stay.lane for each in stays for stay in each}, {visit.row for visit in visits(found)}
    assert len(lanes) == len(rows) + 2  # these have the rows of those that were lost


def test_trials_that_wait_at_a_rung_when_the_driver_is_killed_go_on_or_end_later(workplace: Workplace) -> None:
    search = workplace.start(*LONG, *PROMOTED, *OWN_PROCESS)
    wait_for(lambda: epochs(workplace) >= 6)
    search.kill()
    search.wait()
    before = reported(workplace)
    waiting = {number: values for number, values in before.items() if max(values, default=0) in (1, 3)}
    assert waiting

    kill_once_more(workplace, 6)
    ended = states.optuna_states(workplace.results)
    assert len(ended) == 8
    assert set(ended.values()) == {"completed", "pruned"}
    assert ended == states.mlflow_states(workplace.folder)
    of_tune = states.tune_states(workplace.results)  # where what ends without a lane stays paused
    assert all(state in (ended[number], "PAUSED") for number, state in of_tune.items())
    for number, values in reported(workplace).items():
        assert sorted(values) == list(range(1, len(values) + 1))
        assert len(values) == 9 if ended[number] == "completed" else len(values) in (1, 3)
    assert_kept(waiting, workplace)


def descendants(pid: int) -> list[int]:
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listing.splitlines())}
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found


def command_line(pid: int) -> str:
    path = Path(f"/proc/{pid}/cmdline")
    return path.read_bytes().replace(b"\0", b" ").decode() if path.exists() else ""
