"""One complete run: data, model and training."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from ndvq_tune.config.base import Frozen
from ndvq_tune.config.data import DataConfig, VideoData
from ndvq_tune.config.model import ModelConfig
from ndvq_tune.config.training import TrainingConfig


def as_kept(content: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration that a search has kept, as what it meant: release 0.1 pooled all channels, and did not say so.

    Example:
        >>> as_kept({"data": {"type": "image"}})
        {'data': {'normalise': 'pooled', 'type': 'image'}}
    """
    data = content.get("data", {})
    if not isinstance(data, Mapping):
        return dict(content)  # whoever checks it says what is wrong
    return {**content, "data": {"normalise": "pooled", **data}}


class RunConfig(Frozen):
    """One complete run."""

    data: DataConfig = VideoData()
    model: ModelConfig = Field(ModelConfig(), validate_default=True)
    training: TrainingConfig = TrainingConfig()

    @field_validator("model")
    @classmethod
    def _model_fits_data(cls, value: ModelConfig, info: ValidationInfo) -> ModelConfig:
        data = info.data.get("data")
        if data is not None and data.n_dims not in (None, value.n_dims):
            raise ValueError(f"data.type {data.type} has {data.n_dims} dimensions, but n_dims is {value.n_dims}")
        return value

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON.

        Example:
            >>> config = RunConfig.model_validate({"data": {"type": "image"}, "model": {"n_dims": 2}})
            >>> config.to_dict()["model"]["downsample"]
            [4, 4]
        """
        return self.model_dump(mode="json")
