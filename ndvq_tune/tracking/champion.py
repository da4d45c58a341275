"""The recommended model as an MLflow model: saved without a pickle, logged with its trial, and registered."""

import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from mlflow import pyfunc
from mlflow.entities import LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

from ndvq_tune.training.checkpoint import load_model
from ndvq_tune.training.files import CONFIG, MODEL

ALIAS = "champion"
_CODES_OF_EXAMPLE = 4  # along each dimension: MLflow writes it as text, twice
_CODE = Path(__file__).with_name("tokenizer.py")


def crown(
    client: MlflowClient,
    run_id: str,
    name: str,
    checkpoint: Path,
    example: npt.NDArray[np.float32],
    tags: Mapping[str, str],
) -> None:
    """Log a checkpoint as a model of its trial's run, and make it the newest version and the champion of a name.

    Nothing is done where the champion has these tags already.

    Args:
        client: Speaks to the store.
        run_id: The trial's run.
        name: What the model is registered as.
        checkpoint: Its folder.
        example: Data ``(B, C, *S)`` in [0, 1], as for ``save``.
        tags: What tells the model from all others.
    """
    champion = _champion(client, name)
    if champion is not None and tags.items() <= champion.items():
        return
    experiment_id = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment_id, name, run_id, dict(tags), model_type="tokenizer")
    description = Model(logged.artifact_location, run_id, model_uuid=logged.model_id, model_id=logged.model_id)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        save(path, checkpoint, example, description)
        client.log_model_artifacts(logged.model_id, str(path))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    made = client.create_model_version(
        name,
        logged.artifact_location,  # models:/ID would be looked for in MLflow's default store, not in the client's
        run_id,
        dict(tags),
        await_creation_for=0,
        model_id=logged.model_id,
    )
    client.set_registered_model_alias(name, ALIAS, made.version)


def save(path: Path, checkpoint: Path, example: npt.NDArray[np.float32], description: Model) -> None:
    """Write a checkpoint as an MLflow model, which ``mlflow.pyfunc.load_model`` reads.

    Args:
        path: A folder that is not there yet.
        checkpoint: The checkpoint; only what a tokenizer needs is taken.
        example: Data ``(B, C, *S)`` in [0, 1]; a corner of it is kept with the model, to try that with.
        description: What MLflow knows of the model already.
    """
    model = load_model(checkpoint)
    example = example[:, :, *(slice(_CODES_OF_EXAMPLE * factor) for factor in model.downsample)]
    codes = model.encode(torch.from_numpy(example))
    signature = ModelSignature(  # sizes are free: the network is convolutional
        Schema([TensorSpec(np.dtype(np.float32), (-1, model.input_shape[0], *[-1] * model.n_dims))]),
        Schema([TensorSpec(np.dtype(np.int64), (-1,) * codes.ndim)]),
        ParamSchema([ParamSpec("reconstruct", "boolean", False)]),
    )
    with TemporaryDirectory() as folder:
        tokenizer = Path(folder) / checkpoint.name
        tokenizer.mkdir()
        for file in (MODEL, CONFIG):
            shutil.copy(checkpoint / file, tokenizer)
        pyfunc.save_model(
            path,
            python_model=_CODE,
            artifacts={"checkpoint": str(tokenizer)},
            signature=signature,
            input_example=example,
            pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in ("ndvq-tune", "torch")],
            mlflow_model=description,
        )


def _champion(client: MlflowClient, name: str) -> Mapping[str, str] | None:
    """Tags of what has the alias now; the name is there afterwards."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    holder = client.get_registered_model(name).aliases.get(ALIAS)
    return client.get_model_version(name, holder).tags if holder else None
