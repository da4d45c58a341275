"""How a model is trained."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from ndvq_tune.config.base import Frozen, Positive

ValidationMetric = Literal["ssim", "ms_ssim"]

LEARNING_RATES: Mapping[str, float] = {"muon": 3e-2, "adamw": 2e-3, "adam": 2e-3}
"""The peak that suits an optimiser, if nothing else is said."""


class LossConfig(Frozen):
    """What training minimises, beside the quantizer's own loss."""

    type: Literal["l2", "l1", "smooth_l1"] = Field("l2", description="distance of values, in standard deviations")
    recon_loss_factor: float = Field(1.0, gt=0, description="weight of all below against the quantizer's loss")
    spectral_weight: float = Field(0.0, ge=0, description="weight of the multi-scale spectral loss (1D)")
    ssim_weight: float = Field(0.0, ge=0, description="weight of 1 - SSIM (2D, and the frames of 3D)")


class OptimizerConfig(Frozen):
    """What changes the weights."""

    type: Literal["muon", "adamw", "adam"] = Field(
        "muon",
        description="muon is for matrices and convolutions, with adamw for all other weights; adamw decays weights "
        "apart from the gradient",
    )
    momentum: float = Field(0.95, ge=0, lt=1, description="share of the momentum that a step keeps (muon)")
    newton_schulz_steps: Positive = Field(5, description="steps that make the momentum orthogonal (muon)")


class ScheduleConfig(Frozen):
    """How the learning rate goes, as a share of its peak."""

    type: Literal["cosine", "constant", "linear", "cyclic", "one_cycle", "step", "inverse_sqrt"] = Field(
        "cosine", description="the curve after the warm-up"
    )
    final_share: float = Field(
        default_factory=lambda values: 0.1 if values.get("type") in ("cyclic", "step") else 0.0,
        ge=0,
        le=1,
        description="share of the peak at the end, and between cycles; not of constant, inverse_sqrt; if not given, "
        "0.1 for cyclic and step, and 0 for the others",
    )
    cycles: Positive = Field(3, description="triangles of cyclic, drops of step")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of all steps in which the learning rate rises")

    @field_validator("final_share", "warmup")
    @classmethod
    def _curve_exists(cls, value: float, info: ValidationInfo) -> float:
        kind = info.data.get("type")
        if value == 0 and (kind, info.field_name) in {("step", "final_share"), ("inverse_sqrt", "warmup")}:
            raise ValueError(f"needs to be above 0 for {kind}")
        return value


class TrainingConfig(Frozen):
    """How a model is trained."""

    optimizer: OptimizerConfig = OptimizerConfig()
    learning_rate: float = Field(
        default_factory=lambda values: LEARNING_RATES[values["optimizer"].type],
        gt=0,
        description="peak learning rate; if not given, 0.03 for muon and 0.002 for the others",
    )
    adam_learning_rate: float = Field(2e-3, gt=0, description="peak learning rate of what muon leaves to adamw (muon)")
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of adam's mean of gradients")
    beta2: float = Field(0.95, ge=0, lt=1, description="decay of adam's mean of squared gradients")
    eps: float = Field(1e-8, gt=0, description="what keeps adam from dividing by zero")
    schedule: ScheduleConfig = ScheduleConfig()
    batch_size: Positive = Field(8, description="samples a step, all workers together")
    gradient_accumulation: Positive = Field(
        1, description="parts of a worker's batch that are computed one after the other, for less memory"
    )
    max_epochs: Positive = Field(20, description="passes over the training data")
    weight_decay: float = Field(0.0, ge=0, description="decay of weights; norms and biases have none")
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    loss: LossConfig = LossConfig()
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: mixed precision; codes are chosen in fp32")
    validation_metrics: tuple[ValidationMetric, ...] = Field(
        (),
        description="what validation measures beside the metrics that cost nothing: similarity of images and frames; a "
        "search adds those that its goals name",
    )
    compile: bool = Field(False, description="torch.compile: a minute to start, then faster steps")
    seed: int = Field(0, ge=0, description="seed of weights, batches and dropout")

    @field_validator("optimizer", mode="before")
    @classmethod
    def _as_in_earlier_releases(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value
