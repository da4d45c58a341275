"""The data of a search as MLflow lists data sets."""

import hashlib
import json
from pathlib import PurePosixPath

from mlflow.entities import Dataset as StoredDataset
from mlflow.entities import DatasetInput, InputTag

from ndvq_tune.config import DataConfig, TorchvisionData
from ndvq_tune.data.dataset import Dataset

_CONTEXT = InputTag("mlflow.data.context", "training")
_DIGITS = 16


def dataset_input(config: DataConfig, dataset: Dataset) -> DatasetInput:
    """A data set as the input of a run: its place, the shape of its samples, how many there are, and a digest.

    Data of the same digest has the same files and is cut in the same way, wherever it lies: MLflow keeps one entry of
    it, with the shape and the counts of the first. Of data without a card, which has no files, it has the same mean
    and variance.

    Args:
        config: Where the data is, and how samples are cut from it.
        dataset: The data.
    """
    samples = {"train_samples": len(dataset.train), "test_samples": len(dataset.test), "files": dataset.files}
    card, settings = dataset.card, config.model_dump(mode="json", exclude={"path", "max_bad"})
    fingerprints = {"fingerprint": card.fingerprint, "test_fingerprint": card.test_fingerprint} if card else {}
    content = fingerprints or (dataset.mean, dataset.variance)
    known = json.dumps([settings, samples, content], sort_keys=True)
    remote = "://" in config.path
    spec = {"dtype": "float32", "shape": [-1, *dataset.train.shape]}  # as a model gets them
    found = StoredDataset(
        name=config.name if isinstance(config, TorchvisionData) else PurePosixPath(config.path).name or config.path,
        digest=hashlib.sha256(known.encode()).hexdigest()[:_DIGITS],
        source_type=config.path.partition("://")[0] if remote else "local",
        source=json.dumps({"uri": config.path}),
        schema=json.dumps({"mlflow_tensorspec": {"features": [{"type": "tensor", "tensor-spec": spec}]}}),
        profile=json.dumps(samples | fingerprints),
    )
    return DatasetInput(found, [_CONTEXT])
