"""The runs of one search, as MLflow has them."""

from dataclasses import dataclass, field

from mlflow.tracking import MlflowClient

SEARCH_TAG = "ndvq_tune.search_id"
TRIAL_TAG = "ndvq_tune.trial"


@dataclass
class Run:
    """What MLflow is known to hold of a run, so that only news is sent."""

    id: str
    status: str
    epoch: int = 0
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    has_data: bool = False


def find_runs(client: MlflowClient, experiment_id: str, search_id: str) -> dict[int | None, Run]:
    """The runs of a search.

    Args:
        client: Speaks to the store.
        experiment_id: The experiment that the search is in.
        search_id: What its runs are tagged with.

    Returns:
        Runs by trial number, the search's own by None; of two with one number the older.
    """
    runs: dict[int | None, Run] = {}
    token: str | None = ""
    while token is not None:
        page = client.search_runs(
            [experiment_id],
            f"tags.`{SEARCH_TAG}` = '{search_id}'",
            order_by=["attributes.start_time ASC"],
            page_token=token or None,
        )
        for found in page:
            number = int(found.data.tags[TRIAL_TAG]) if TRIAL_TAG in found.data.tags else None
            epoch = int(found.data.metrics.get("epoch", 0))
            has_data = bool(found.inputs.dataset_inputs)
            run = Run(found.info.run_id, found.info.status, epoch, found.data.params, found.data.tags, has_data)
            runs.setdefault(number, run)
        token = page.token or None
    return runs
