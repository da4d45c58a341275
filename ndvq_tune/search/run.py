"""A search from beginning to end. MLflow is connected while Ray starts."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ndvq_tune.search.folder import claim, write_space
from ndvq_tune.search.resources.cluster import cluster
from ndvq_tune.search.space import SearchSpace

if TYPE_CHECKING:
    from ndvq_tune.data.cache.source import Progress
    from ndvq_tune.data.dataset import Dataset
    from ndvq_tune.search.decoding import Attach
    from ndvq_tune.search.earlier.warm_start import WarmStart
    from ndvq_tune.search.outcome import SearchResult
    from ndvq_tune.tracking.client import Store

DataProgress = Callable[[], AbstractContextManager["Progress"]]


def run_search(
    space: SearchSpace,
    folder: Path,
    console: Console,
    data_progress: DataProgress,
    address: str | None = None,
    warm_start: "WarmStart | None" = None,
    serve: "Callable[[Store], Store] | None" = None,
) -> "SearchResult":
    """Run a search, or go on with the one that the folder holds.

    Args:
        space: What to search, and how.
        folder: The results folder, absolute.
        console: Where progress is shown.
        data_progress: Shows work on data, while it lasts.
        address: A Ray cluster; a local one is started if not given.
        warm_start: What a new search takes over from earlier ones.
        serve: Puts a server in front of MLflow's store, where one is wanted.

    Raises:
        ResultsError: If the folder cannot be used.
        DataError: If the data cannot be used.
        ConfigError: If the search measures what its samples cannot have.
        ClusterError: If the cluster does not answer or is too small.
        TrackingError: If MLflow cannot be used at the start; later it can no longer end a search.
    """
    console.print(f"{space.name}: opening the data and starting Ray ...", highlight=False)
    with claim(folder), ExitStack() as resources:
        ray = cache(lambda: resources.enter_context(cluster(address)))  # once, and not before it is needed
        dataset = _opened(space, data_progress, lambda: nullcontext(ray()))
        connecting = ThreadPoolExecutor(1).submit(_connected, space, folder)  # takes seconds, as Ray's start does
        nodes = ray()
        _tell_of_data(space, dataset, folder, console)
        from ndvq_tune.search.engine.study import Study
        from ndvq_tune.search.tune.session import Session, tracked

        store = connecting.result()
        if serve is not None:
            store = serve(store)
        study = resources.enter_context(closing(Study.open(folder, space)))
        if warm_start is not None:
            warm_start.give(study)
        with tracked(space, study, store, dataset) as tracker:
            session = Session(space, folder, console, dataset, study, tracker)
            ended_by = session.search(nodes)
            resources.close()  # what follows has all of this machine
            return session.outcome(ended_by)


def _opened(space: SearchSpace, progress: DataProgress, attach: "Attach") -> "Dataset":
    """The data, for each stage, with all that the search measures."""
    from ndvq_tune.search.consistency import check_samples
    from ndvq_tune.search.decoding import open_on_cluster
    from ndvq_tune.search.stages import stage_data

    with progress() as shown:
        for data in stage_data(space.data, space.search.fidelity):  # the last one is the full data
            dataset = open_on_cluster(data, shown, attach)
    check_samples(space, dataset.test.shape)
    return dataset


def _connected(space: SearchSpace, folder: Path) -> "Store":
    """MLflow, where the space says; a Ray job's current folder is thrown away, so there it is beside the results."""
    from ndvq_tune.tracking.client import connect

    uri = space.tracking.uri or os.environ.get("MLFLOW_TRACKING_URI")
    if uri is None and "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        uri = f"sqlite:///{folder / 'mlflow.db'}"
    return connect(uri, space.tracking.experiment or space.name)


def _tell_of_data(space: SearchSpace, dataset: "Dataset", folder: Path, console: Console) -> None:
    """Keep the space, and tell of files that are left out or resampled, and of test samples that are too few."""
    from ndvq_tune.baselines.precision import warning
    from ndvq_tune.report.skipped import tell_of_files

    write_space(folder, space)
    tell_of_files(console, dataset, folder)
    if text := warning(dataset.test):
        console.print(text, highlight=False)
