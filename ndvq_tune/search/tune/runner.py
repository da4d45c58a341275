"""One search from beginning to end: the parts put together."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from ray import tune
from rich.console import Console

from ndvq_tune.data.dataset import Dataset
from ndvq_tune.errors import TrackingError
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import StopReason, TrialRecord, TrialState
from ndvq_tune.search.earlier.warm_start import WarmStart
from ndvq_tune.search.engine.engine import Engine
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.folder import RAY
from ndvq_tune.search.progress import search_progress
from ndvq_tune.search.resources.cluster import cluster
from ndvq_tune.search.resources.lanes import LanePlan
from ndvq_tune.search.resources.planning import plan_resources
from ndvq_tune.search.results import keep_checkpoints, write_outcome, write_tables_and_summary
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.tune.callback import SearchCallback
from ndvq_tune.search.tune.scheduler import EngineScheduler
from ndvq_tune.search.tune.searcher import EngineSearch
from ndvq_tune.search.tune.trial import TrialActor
from ndvq_tune.tracking.mlflow import MlflowTracker

LOST_LANES = 3  # how often a trial may lose its lane before it counts as failed


class Stopped(BaseException):
    """The search ends at a safe point of the controller; no error, so nothing on the way may swallow it."""


class Interrupted(Stopped):
    """The person, or the cluster, asked for an end."""


class OutOfTime(Stopped):
    """The time budget is used up."""


@dataclass(frozen=True)
class Outcome:
    """How a search ended.

    Attributes:
        standing: The search as it is now.
        finished: Whether it came to its end; it was interrupted otherwise, and can be resumed.
        mlflow_command: What shows it in MLflow.
    """

    standing: Standing
    finished: bool
    mlflow_command: str


def run_search(
    space: SearchSpace,
    dataset: Dataset,
    folder: Path,
    console: Console,
    address: str | None = None,
    warm_start: WarmStart | None = None,
) -> Outcome:
    """Run a search, or go on with the one that the folder holds.

    Args:
        space: What to search, and how.
        dataset: The data, opened; lanes open it again for themselves.
        folder: The results folder, absolute.
        console: Where progress is shown.
        address: A Ray cluster; a local one is started if not given.
        warm_start: What a new search takes over from earlier ones.

    Raises:
        ClusterError: If the cluster does not answer or is too small.
        TrackingError: If MLflow cannot be used at the start; later it can no longer end a search.
    """
    study = Study.open(folder, space)
    if warm_start is not None:
        for known in warm_start.known:
            study.import_(known)
        for point in warm_start.first_points:
            study.enqueue(point)
    with tracking(study, space, folder) as opening:
        with closing(study), cluster(address) as nodes, stop_signals() as interrupted:  # Ray sets signal handlers, too
            plan, preflight = plan_resources(space, dataset.train.shape, nodes, str(folder / RAY / "groups"))
            tracker = opening.result()
            engine = Engine(study, space, preflight.check)
            console.print(f"{space.name}: {engine.expected} trials on {plan.describe()}", highlight=False)
            ended_by = _tune(engine, study, space, plan, folder, tracker, console, interrupted)
        finished = not interrupted.is_set()
        record = keep_checkpoints(study.to_record(dataset.skipped, ended_by), folder, final=finished)
        standing = Standing(record)
        if finished or record.trials:  # nothing begun leaves nothing, and the folder's name is free again
            write_tables_and_summary(standing, space, folder, tracker)
        if finished:
            write_outcome(standing, dataset, folder, tracker, console)
        try:
            tracker.finish(standing, "completed" if finished else "interrupted")
        except TrackingError as error:
            console.print(f"MLflow: {error}; --resume brings it up to date", markup=False)
    return Outcome(standing, finished, tracker.ui_command or tracker.ui_address)


@contextmanager
def tracking(study: Study, space: SearchSpace, folder: Path) -> Iterator[Future[MlflowTracker]]:
    """MLflow, opened by a thread: a new database takes several seconds to make, and Ray starts meanwhile.

    A search that ends with an error ends in MLflow, too, where it would run for ever otherwise.
    """
    opening = ThreadPoolExecutor(1).submit(_tracker, study.search_id, study.records, space, folder)
    try:
        yield opening
    except BaseException as error:
        if opening.exception() is None:
            with suppress(TrackingError):  # the first error is the one to mend
                state: Literal["failed", "interrupted"] = "failed" if isinstance(error, Exception) else "interrupted"
                opening.result().finish(Standing(study.to_record()), state)
        raise


def _tracker(search_id: str, records: Sequence[TrialRecord], space: SearchSpace, folder: Path) -> MlflowTracker:
    """Where the space says; a Ray job's current folder is thrown away, so there it is beside the results."""
    uri = space.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")
    if uri is None and "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        uri = f"sqlite:///{folder / 'mlflow.db'}"
    tracker = MlflowTracker.open(space.name, search_id, space.tracking.experiment or space.name, uri)
    tracker.start(space.to_yaml(), {"trials": space.search.trials, "seed": space.search.seed})
    for record in records:  # what a driver that was killed could not tell
        tracker.sync(record)
    return tracker


def _tune(
    engine: Engine,
    study: Study,
    space: SearchSpace,
    plan: LanePlan,
    folder: Path,
    tracker: MlflowTracker,
    console: Console,
    interrupted: threading.Event,
) -> str | None:
    """Hand the trials to Ray Tune until all have ended, time is up, or someone asks for an end; why it ended early."""
    budget = space.search.time_budget
    deadline = None if budget is None else time.monotonic() + budget

    def check() -> None:
        if interrupted.is_set():
            raise Interrupted
        if deadline is not None and time.monotonic() > deadline:
            raise OutOfTime

    scheduler = EngineScheduler(engine, plan.lanes)
    # Tune asks for one lane at a time unless told otherwise: lanes would start one after the other.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(plan.lanes)
    # A relative data.path means the same in the lanes as here.
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    for stale in (folder / RAY).glob("experiment_state-*.json"):
        stale.unlink()  # of an earlier session; this one's trial table holds those trials, too
    with (
        search_progress(console, lambda: engine.expected, study.records, budget) as progress,
        closing(SearchCallback(study, scheduler, tracker, progress, folder, check)) as callback,
    ):
        try:
            # Not Tuner: that pickles all of this for a restore of its own, which the study makes needless.
            tune.run(
                TrialActor,
                name=RAY,
                storage_path=str(folder),
                search_alg=EngineSearch(engine, study, space, plan, folder),
                scheduler=scheduler,
                callbacks=[callback],
                num_samples=-1,
                reuse_actors=True,
                checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
                max_failures=LOST_LANES,
                raise_on_failed_trial=False,
                verbose=0,
            )
        except OutOfTime:
            _end_running(study)
            return "time_budget"
        except Interrupted:
            progress.note("interrupted; saving")
    return engine.ended_by


def _end_running(study: Study) -> None:
    """What the time budget cuts off is pruned, at what it last reported."""
    for record in study.records:
        if record.state is TrialState.RUNNING:
            study.finish(record.number, TrialState.PRUNED, StopReason.TIME_BUDGET)


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second one ends the process at once."""
    asked = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
