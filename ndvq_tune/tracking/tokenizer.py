"""The model that MLflow loads. This file goes with each, and is run there: it uses what the package offers to all."""

from importlib import import_module
from typing import Any

import numpy as np
import torch
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext


class Tokenizer(PythonModel):
    """A tokenizer: data in [0, 1] to codes, or to what its codes make of it."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the checkpoint that the model was made from."""
        # By its public name, which stays: its home may not be the same in the release that loads this.
        self._model = import_module("ndvq_tune").load_model(context.artifacts["checkpoint"])

    # MLflow takes no hint that says what is in an array.
    def predict(
        self,
        context: PythonModelContext,
        model_input: np.ndarray,
        params: dict[str, Any] | None = None,
    ) -> np.ndarray:
        """Encodings ``(B, *L)``, int64, of data; with several codebooks ``(B, *L, Q)``.

        Args:
            context: Not used.
            model_input: Data ``(B, C, *S)``, float32, in [0, 1] as in training.
            params: With ``reconstruct: True`` the result is the reconstruction ``(B, C, *S)`` in its place.
        """
        x = torch.from_numpy(model_input)
        with torch.no_grad():
            result: np.ndarray = (
                self._model(x)[1] if (params or {}).get("reconstruct") else self._model.encode(x)
            ).numpy()
        return result


set_model(Tokenizer())
