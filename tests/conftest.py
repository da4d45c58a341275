from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from ndvq_tune.records import SearchRecord
from tests.report.report_examples import OBJECTIVES, eventful_search, invented_search, make_trial

settings.register_profile("patient", deadline=None)  # no test asserts on time
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _reproducible() -> Iterator[None]:
    """The same random numbers for each test, and one thread: for such small tensors more only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def example() -> SearchRecord:
    return invented_search()


@pytest.fixture(scope="session")
def eventful() -> SearchRecord:
    return eventful_search()


@pytest.fixture
def empty() -> SearchRecord:
    return SearchRecord("empty", (), OBJECTIVES)


@pytest.fixture
def single() -> SearchRecord:
    metrics = {"recon_loss": 0.1, "bits_per_element": 0.25, "psnr": 20.0, "perplexity": 99.0, "codebook_usage": 0.5}
    return SearchRecord("single", (make_trial(0, metrics),), OBJECTIVES, wall_seconds=5.0)
