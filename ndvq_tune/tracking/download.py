"""Models that MLflow keeps, as checkpoints on this machine."""

import atexit
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path

from mlflow.artifacts import download_artifacts

from ndvq_tune.errors import TrackingError, first_line
from ndvq_tune.tracking.client import database, resolve_uri
from ndvq_tune.tracking.reading import check_database
from ndvq_tune.training.files import CONFIG


@cache
def fetched_checkpoint(uri: str) -> Path:
    """The checkpoint of a model, fetched once; it is there as long as this process is.

    Args:
        uri: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``, or ``runs:/RUN/PATH``; of the store that
            ``MLFLOW_TRACKING_URI`` names, or else of the one in this folder.

    Raises:
        TrackingError: The store does not have it, or it is none of ours.
    """
    store = resolve_uri(None)
    folder = tempfile.mkdtemp(prefix="ndvq-model-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        if store.startswith("sqlite:///"):
            check_database(database(store))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SQLAlchemy warns of how MLflow uses it
            fetched = Path(download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=store))
    except TrackingError:
        raise
    except Exception as error:  # whatever the store's own libraries raise: there are many
        raise TrackingError(f"{uri}: MLflow at {store} does not give it: {first_line(error)}") from error
    found = sorted(fetched.rglob(CONFIG))
    if not found:
        raise TrackingError(f"{uri}: holds no checkpoint ({CONFIG} is missing)")
    return found[0].parent
