"""One complete run, checked: data, model and training.

A search space is this with distributions in some leaves; ``best.yaml`` is this.
"""

from ndvq_tune.config.base import Frozen, Positive
from ndvq_tune.config.data import (
    ArrayData,
    DataConfig,
    FolderData,
    ImageData,
    SignalData,
    TorchvisionData,
    VideoData,
)
from ndvq_tune.config.model import AttentionConfig, ModelConfig, QuantizerConfig
from ndvq_tune.config.run import RunConfig
from ndvq_tune.config.training import LossConfig, OptimizerConfig, ScheduleConfig, TrainingConfig

__all__ = [
    "ArrayData",
    "AttentionConfig",
    "DataConfig",
    "FolderData",
    "Frozen",
    "ImageData",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "Positive",
    "QuantizerConfig",
    "RunConfig",
    "ScheduleConfig",
    "SignalData",
    "TorchvisionData",
    "TrainingConfig",
    "VideoData",
]
