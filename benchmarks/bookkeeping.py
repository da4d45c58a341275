"""What the driver of a search costs: made-up trials through all that it does for real ones, but without Ray.

    python -m benchmarks.bookkeeping --sampler random --profile driver

The engine decides, the study keeps its journal, and the callback shows progress and has MLflow told by its thread,
until the journal and MLflow have all. Every report has a checkpoint, as in a search; only its files are left out. Each
trial is better than all before, so that none is stopped early and every report is compared with as many as possible.
"""

import argparse
import cProfile
import json
import math
import os
import pstats
import sqlite3
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from rich.console import Console

from benchmarks.watches import WatchedStudy, WatchedTracker, Watches
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.metrics import METRICS, bits_per_element
from ndvq_tune.records import TrialRecord, number_of
from ndvq_tune.search.engine.engine import Engine
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.engine.verdict import Decision
from ndvq_tune.search.progress import search_progress
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.tune.callback import SearchCallback
from ndvq_tune.search.tune.messages import LaneReport
from ndvq_tune.search.tune.scheduler import EngineScheduler
from ndvq_tune.tracking.client import connect

SPACE = Path(__file__).parents[1] / "search_spaces" / "video3d.yaml"
TRIALS, REPORTS, LANES = 2000, 8, 8
DATABASE = "mlflow.db"
MEMORY_EVERY = 100
LANE = SimpleNamespace(ray_actor=SimpleNamespace(_actor_id=b"lane"))  # of every trial, as Tune has it


@dataclass(frozen=True)
class Cost:
    """What the trials cost the driver.

    Attributes:
        sampler: Who proposed them.
        trials: How many there were.
        reports: How many reports they made.
        seconds: Until the journal and MLflow had everything.
        cpu: Seconds of computing in that, on all cores; on a busy machine, what is left to compare.
        driver: Seconds of that until the last trial had ended; then MLflow catches up.
        proposing: Seconds of those in Optuna's sampler and its entries in the journal.
        mlflow: Seconds in which MLflow was told, by a thread beside the driver.
        memory: Resident bytes of the process, by trials ended.
        in_mlflow: Runs of ended trials, and reports, in MLflow at the end.
    """

    sampler: str
    trials: int
    reports: int
    seconds: float
    cpu: float
    driver: float
    proposing: float
    mlflow: float
    memory: Mapping[int, int]
    in_mlflow: tuple[int, int]

    @property
    def rate(self) -> float:
        """Trials a second."""
        return self.trials / self.seconds

    @property
    def quarter(self) -> int:
        """About a quarter of the trials; by then, all that is not trials is loaded."""
        return min(self.memory, key=lambda ended: abs(ended - max(self.memory) / 4))


def made_up(record: TrialRecord) -> dict[str, float]:
    """A healthy report, better than those of all earlier trials; bits are those of the configuration."""
    epoch, model = len(record.reports) + 1, record.config.model
    recon_loss = 0.9**epoch / (1 + record.number)
    values = {
        "recon_loss": recon_loss,
        "train_recon_loss": recon_loss,
        "perplexity": 0.5 * model.n_codes,
        "codebook_usage": 0.75,
        "bits_per_element": bits_per_element(math.log2(model.n_codes), 1, math.prod(model.downsample)),
        "samples_seen": 100.0 * epoch,
        "training_seconds": 1.0 * epoch,
    }
    return {"epoch": epoch} | dict.fromkeys(METRICS, 1.0) | values


def space_of(trials: int, sampler: str) -> SearchSpace:
    """The largest shipped space: two objectives, a constraint, ASHA."""
    changes = (f"search.trials={trials}", f"search.sampler.type={sampler}", f"training.max_epochs={REPORTS}")
    return SearchSpace.load(SPACE, changes)


def measure(space: SearchSpace, folder: Path, watches: Watches) -> Cost:
    """Take all trials of a space through the driver."""
    study = cast("WatchedStudy", WatchedStudy.open(folder, space))
    uri = f"sqlite:///{folder / DATABASE}"
    tracker = WatchedTracker(connect(uri, space.name), space.name, study.search_id)
    study.watch, tracker.watch = watches.proposing, watches.mlflow
    engine = Engine(study, space)
    memory = {}
    with Path(os.devnull).open("w") as nowhere:
        start, cpu = time.perf_counter(), time.process_time()
        progress = search_progress(Console(file=nowhere), lambda: engine.expected, (), None)
        callback = SearchCallback(study, EngineScheduler(engine, LANES), tracker, progress, folder, lambda: None)
        with progress, closing(callback), watches.driver.running():
            for ended in ends(engine, study, callback, folder):
                if ended % MEMORY_EVERY == 0:
                    memory[ended] = resident_bytes()
        study.close()
        tracker.finish(Standing(study.to_record()), "completed")
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return Cost(
        sampler=space.search.sampler.type,
        trials=len(study.records),
        reports=sum(len(record.reports) for record in study.records),
        seconds=seconds,
        cpu=cpu,
        driver=watches.driver.seconds,
        proposing=watches.proposing.seconds,
        mlflow=watches.mlflow.seconds,
        memory=memory,
        in_mlflow=in_mlflow(folder / DATABASE),
    )


def ends(engine: Engine, study: Study, callback: SearchCallback, folder: Path) -> Iterator[int]:
    """Run all trials, some at a time, in the order of Tune's events; gives the number of trials at each end."""
    live: deque[SimpleNamespace] = deque()
    for ended in count(1):
        while True:
            while len(live) < LANES and (record := engine.next_trial()):
                live.append(SimpleNamespace(trial_id=record.name, last_result={}, temporary_state=LANE))
                callback.on_trial_start(0, [], live[-1])
            if not live:
                return
            trial = live.popleft()
            if _step(engine, study, callback, trial, folder) is Decision.STOP:
                break
            live.append(trial)
        engine.finish(number_of(trial.trial_id))
        callback.on_trial_complete(0, [], trial)
        yield ended


def _step(engine: Engine, study: Study, callback: SearchCallback, trial: SimpleNamespace, folder: Path) -> Decision:
    """One report of a trial, and its checkpoint."""
    number = number_of(trial.trial_id)
    report = made_up(study.record(number))
    decision = engine.report(number, report)
    callback.on_trial_result(0, [], trial, LaneReport(report).to_result())
    path = folder / "ray" / trial.trial_id / f"checkpoint_{report['epoch']:06d}"
    path.mkdir(parents=True)
    checkpoint = SimpleNamespace(path=str(path))
    callback.on_checkpoint(0, [], trial, checkpoint)
    return decision


def in_mlflow(database: Path) -> tuple[int, int]:
    """Runs of trials that have ended, and reports, as MLflow's database has them."""
    with closing(sqlite3.connect(database)) as connection:
        counts = [
            connection.execute(query).fetchone()[0]
            for query in (
                "SELECT COUNT(*) FROM runs WHERE end_time IS NOT NULL",
                "SELECT COUNT(*) FROM metrics WHERE key = 'epoch'",
            )
        ]
    return counts[0] - 1, counts[1] - 1  # one run, with the recommended trial's last report, is the search's own


def resident_bytes() -> int:
    """Memory that this process takes now. Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--profile", choices=("driver", "mlflow"), help="where that thread's time goes")
    options = parser.parse_args()
    watches = Watches()
    if options.profile:
        getattr(watches, options.profile).profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        cost = measure(space_of(options.trials, options.sampler), Path(folder), watches)
    print(json.dumps(asdict(cost)))
    if options.profile:
        pstats.Stats(getattr(watches, options.profile).profile).sort_stats("cumulative").print_stats(50)


if __name__ == "__main__":
    main()
