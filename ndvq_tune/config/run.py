"""One complete run: data, model and training."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from ndvq_tune.config.base import Frozen
from ndvq_tune.config.data import DataConfig, VideoData
from ndvq_tune.config.model import ModelConfig
from ndvq_tune.config.training import TrainingConfig

_IN_0_1: Mapping[str, Mapping[str, Any]] = {
    "data": {"normalise": "pooled"},
    "model": {"legacy_layers": True, "norm": "group"},
    "training": {"optimizer": "adam", "learning_rate": 1e-3, "beta2": 0.999, "schedule": {"final_share": 0.1}},
}
"""What release 0.1 did where its files say nothing."""


def as_kept(content: Any) -> Any:
    """A configuration that a search has kept, as what it meant: without ``data.normalise`` it is of release 0.1.

    What is no mapping, or has a section that is none, stays as it is: whoever checks it says what is wrong.

    Example:
        >>> as_kept({"data": {"type": "image"}, "training": {"optimizer": "adamw"}})["training"]["optimizer"]
        'adamw'
        >>> as_kept({"data": {"type": "image"}})["data"]
        {'normalise': 'pooled', 'type': 'image'}
    """
    if not isinstance(content, Mapping):
        return content
    given = {name: content.get(name, {}) for name in _IN_0_1}
    if not all(isinstance(section, Mapping) for section in given.values()) or "normalise" in given["data"]:
        return dict(content)
    return {**content, **{name: {**_IN_0_1[name], **section} for name, section in given.items()}}


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

    def with_training(self, **changes: Any) -> "RunConfig":
        """The same run with other settings of training, which are taken as they are.

        Example:
            >>> RunConfig().with_training(seed=3).training.seed
            3
        """
        return self.model_copy(update={"training": self.training.model_copy(update=changes)})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON.

        Example:
            >>> config = RunConfig.model_validate({"data": {"type": "image"}, "model": {"n_dims": 2}})
            >>> config.to_dict()["model"]["downsample"]
            [4, 4]
        """
        return self.model_dump(mode="json")
