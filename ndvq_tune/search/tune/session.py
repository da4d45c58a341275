"""One session of a search: the parts put together."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import FrameType

from ray import tune
from rich.console import Console

from ndvq_tune.baselines.measure import baselines
from ndvq_tune.data.dataset import Dataset
from ndvq_tune.errors import TrackingError
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.quantities import count_text
from ndvq_tune.records import Baseline, Importance, SearchRecord, StopReason, TrialRecord, TrialState
from ndvq_tune.report.finding import description
from ndvq_tune.report.html import write_html
from ndvq_tune.search.attempt import T, attempt
from ndvq_tune.search.checkpoints import keep_checkpoints
from ndvq_tune.search.engine.curves.importance import importances
from ndvq_tune.search.engine.engine import Engine
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.folder import RAY, pictures_in
from ndvq_tune.search.outcome import SearchResult, diagnosed
from ndvq_tune.search.progress import Progress, search_progress
from ndvq_tune.search.resources.lanes import LanePlan, Node
from ndvq_tune.search.resources.planning import plan_resources
from ndvq_tune.search.resources.preflight import Preflight
from ndvq_tune.search.results import write_outcome, write_tables_and_summary
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.tune.callback import SearchCallback
from ndvq_tune.search.tune.live_page import LivePage
from ndvq_tune.search.tune.scheduler import EngineScheduler
from ndvq_tune.search.tune.searcher import EngineSearch
from ndvq_tune.search.tune.trial import TrialActor
from ndvq_tune.tracking.client import Store
from ndvq_tune.tracking.datasets import dataset_input
from ndvq_tune.tracking.mlflow import MlflowTracker
from ndvq_tune.yaml_file import flatten

LOST_LANES = 3  # how often a trial may lose its lane before it counts as failed


class Stopped(BaseException):
    """The search ends at a safe point of the controller; no error, so nothing on the way may swallow it."""


class Interrupted(Stopped):
    """The person, or the cluster, asked for an end."""


class OutOfTime(Stopped):
    """The time budget is used up."""


@dataclass(frozen=True)
class Session:
    """What one session of a search works with, from its start until it ends or is interrupted.

    Attributes:
        space: What to search, and how.
        folder: The results folder.
        console: Where progress is shown.
        dataset: The data, opened; lanes open it again for themselves.
        study: The trials.
        tracker: MLflow.
        interrupted: Set when someone asks for an end.
    """

    space: SearchSpace
    folder: Path
    console: Console
    dataset: Dataset
    study: Study
    tracker: MlflowTracker
    interrupted: threading.Event = field(default_factory=threading.Event)

    def search(self, nodes: Sequence[Node]) -> str | None:
        """Train trials until the search ends, or someone asks for an end; why it ended before its last trial.

        Args:
            nodes: What each node of the cluster has.

        Raises:
            ClusterError: If not even one trial fits on the nodes.
        """
        shape, storage = self.dataset.train.shape, str(self.folder / RAY / "groups")
        plan, preflight = plan_resources(self.space, shape, nodes, storage)
        engine = Engine(self.study, self.space, preflight)
        self.console.print(f"{self.space.name}: {_announced(engine)}, on {plan.describe()}", highlight=False)
        for line in self._shown_at:
            self.console.print(f"MLflow: {line}", markup=False, highlight=False, soft_wrap=True)
        budget = self.space.search.time_budget
        with (
            stop_signals(self.interrupted),  # after Ray's start, which sets handlers, too
            search_progress(self.console, lambda: engine.expected, self.study.records, budget) as progress,
        ):
            try:
                self._tune(engine, plan, progress)
            except OutOfTime:
                _end_running(self.study)
                return "time_budget"
            except Interrupted:
                progress.note("interrupted; saving")
        return engine.ended_by

    def outcome(self, ended_by: str | None) -> SearchResult:
        """Write what the search leaves behind, as far as it has come; what fails is told, and the rest is written.

        Args:
            ended_by: Why it ended before its last trial.
        """
        finished = not self.interrupted.is_set()
        record = self.study.to_record(self.dataset.skipped, ended_by)
        if finished:
            record = replace(
                record,
                importances=self._attempt("what mattered", self._importances, ()),
                baselines=self._attempt("plain methods", partial(self._baselines, Standing(record).best), ()),
            )
        keep = partial(keep_checkpoints, record, self.folder, final=finished)
        standing = Standing(self._attempt("checkpoints", keep, record))
        diagnosis = diagnosed(standing, self.space)
        if finished or record.trials:  # nothing begun leaves nothing, and the folder's name is free again
            given = (standing, diagnosis, self.space, self.folder, self.tracker)
            self._attempt("tables and summary.json", partial(write_tables_and_summary, *given), None)
        if finished:
            write_outcome(standing, diagnosis, self.dataset, self.folder, self.tracker, self.console)
        elif record.trials:
            pictures = pictures_in(self.folder, standing.recommended)
            page = partial(write_html, standing, diagnosis, self.folder, pictures)
            self._attempt("report.html", page, None)
        try:
            self.tracker.finish(standing, "completed" if finished else "interrupted", description(standing, diagnosis))
        except TrackingError as error:
            self.console.print(f"MLflow: {error}; --resume brings it up to date", markup=False)
        return SearchResult(self.folder, standing, diagnosis, finished, "\n".join(self._shown_at))

    @property
    def _shown_at(self) -> tuple[str, ...]:
        return self.tracker.shown_at(self.space.search.goals.objectives[0])

    def _attempt(self, what: str, step: Callable[[], T], otherwise: T) -> T:
        return attempt(self.console, what, step, otherwise)

    def _baselines(self, best: TrialRecord | None) -> tuple[Baseline, ...]:
        return () if best is None else baselines(self.dataset, best.config)

    def _importances(self) -> tuple[Importance, ...]:
        preflight = Preflight(self.space, self.dataset.train.shape)
        return importances(
            self.space, self.study.records, lambda params: preflight.goal_metrics(self.space.complete(params))
        )

    def _tune(self, engine: Engine, plan: LanePlan, progress: Progress) -> None:
        """Hand the trials to Ray Tune until all have ended, time is up, or someone asks for an end."""
        # Tune asks for one lane at a time unless told otherwise: lanes would start one after the other.
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(plan.lanes)
        # A relative data.path means the same in the lanes as here.
        os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
        for stale in (self.folder / RAY).glob("experiment_state-*.json"):
            stale.unlink()  # of an earlier session; this one's trial table holds those trials, too
        scheduler, page = EngineScheduler(engine, plan.lanes), LivePage(self._write_page, progress.note)
        check = self._at_each_step(page)
        callback = SearchCallback(self.study, scheduler, self.tracker, progress, self.folder, check)
        with closing(page), closing(callback):
            # Not Tuner: that pickles all of this for a restore of its own, which the study makes needless.
            tune.run(
                TrialActor,
                name=RAY,
                storage_path=str(self.folder),
                search_alg=EngineSearch(engine, self.study, self.space, plan, self.folder),
                scheduler=scheduler,
                callbacks=[callback],
                num_samples=-1,
                reuse_actors=True,
                checkpoint_config=tune.CheckpointConfig(num_to_keep=1),
                max_failures=LOST_LANES,
                raise_on_failed_trial=False,
                verbose=0,
            )

    def _write_page(self, record: SearchRecord) -> None:
        standing = Standing(record)
        pictures = pictures_in(self.folder, standing.recommended)
        write_html(standing, diagnosed(standing, self.space), self.folder, pictures, running=True)

    def _at_each_step(self, page: LivePage) -> Callable[[], None]:
        """What is called at every safe point: it keeps the page up to date, and ends the search there."""
        budget = self.space.search.time_budget
        deadline = None if budget is None else time.monotonic() + budget

        def check() -> None:
            page.refresh(lambda: self.study.to_record(self.dataset.skipped))
            if self.interrupted.is_set():
                raise Interrupted
            if deadline is not None and time.monotonic() > deadline:
                raise OutOfTime

        return check


@contextmanager
def tracked(space: SearchSpace, study: Study, store: Store, dataset: Dataset) -> Iterator[MlflowTracker]:
    """MLflow, which hears also of an end by an error: a search would run for ever there.

    Args:
        space: What is searched, and how.
        study: The trials.
        store: Where MLflow keeps them.
        dataset: What they are trained on.

    Raises:
        TrackingError: If MLflow cannot be used.
    """
    tracker = MlflowTracker(store, space.name, study.search_id)
    try:
        settings = {"trials": space.search.trials, "seed": space.search.seed, **flatten(space.fixed)}
        tracker.start(space.to_yaml(), settings, dataset_input(space.data, dataset))
        for record in study.records:  # what a driver that was killed could not tell
            tracker.sync(record)
        yield tracker
    except BaseException as error:
        with suppress(TrackingError):  # the first error is the one to mend
            tracker.finish(Standing(study.to_record()), "failed" if isinstance(error, Exception) else "interrupted")
        raise


def _announced(engine: Engine) -> str:
    repetitions = engine.repetitions and f", then up to {count_text(engine.repetitions, 'repetition')}"
    return count_text(engine.trials, "trial") + (repetitions or "")


def _end_running(study: Study) -> None:
    """What the time budget cuts off is pruned, at what it last reported."""
    for record in study.records:
        if record.state is TrialState.RUNNING:
            study.finish(record.number, TrialState.PRUNED, StopReason.TIME_BUDGET)


@contextmanager
def stop_signals(asked: threading.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set an event; a second one ends the process at once.

    Args:
        asked: The event.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears of signals
        return
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
