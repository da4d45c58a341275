import pytest

from ndvq_tune.records import SearchRecord
from tests.report.report_examples import OBJECTIVES, eventful_search, invented_search, make_trial


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
