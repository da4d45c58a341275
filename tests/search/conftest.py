from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.folder import JOURNAL
from ndvq_tune.search.space import SearchSpace
from tests.search.search_examples import space_of

OpenStudy = Callable[..., Study]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def open_study(tmp_path: Path) -> OpenStudy:
    """Opens the study of this test's folder: begins it, or as a driver would that comes later."""

    def open_(space: SearchSpace | None = None, folder: Path = tmp_path) -> Study:
        return Study.open(folder, space or space_of())

    return open_


@pytest.fixture
def read_back(tmp_path: Path) -> Callable[[], list[optuna.trial.FrozenTrial]]:
    """Reads the journal's trials as anyone with Optuna can."""

    def read() -> list[optuna.trial.FrozenTrial]:
        storage = JournalStorage(JournalFileBackend(str(tmp_path / JOURNAL)))
        return optuna.load_study(study_name="small", storage=storage).trials

    return read
