"""A real search in real processes, run once for all tests that look at what it left."""

from pathlib import Path

import pytest

from tests.end_to_end.workplace import TINY, Workplace


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def workplace(tmp_path: Path, cache: Path) -> Workplace:
    return Workplace(tmp_path, cache)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Workplace, str]:
    """A search that has ended, and what it printed."""
    workplace = Workplace(tmp_path_factory.mktemp("finished"), cache)
    done = workplace.run("--space", str(TINY))
    assert done.returncode == 0, done.stdout + done.stderr
    return workplace, done.stdout
