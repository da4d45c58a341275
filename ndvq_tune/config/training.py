"""How a model is trained."""

from typing import Literal

from pydantic import Field

from ndvq_tune.config.base import Frozen, Positive


class LossConfig(Frozen):
    """What training minimises, beside the quantizer's own loss."""

    type: Literal["l2", "l1", "smooth_l1"] = Field("l2", description="distance of values, in standard deviations")
    recon_loss_factor: float = Field(1.0, gt=0, description="weight of all below against the quantizer's loss")
    spectral_weight: float = Field(0.0, ge=0, description="weight of the multi-scale spectral loss (1D)")
    ssim_weight: float = Field(0.0, ge=0, description="weight of 1 - SSIM (2D, and the frames of 3D)")


class TrainingConfig(Frozen):
    """How a model is trained."""

    learning_rate: float = Field(1e-3, gt=0, description="peak learning rate")
    batch_size: Positive = Field(8, description="samples a step, all workers together")
    max_epochs: Positive = Field(20, description="passes over the training data")
    optimizer: Literal["adam", "adamw"] = Field("adam", description="adamw decays weights apart from the gradient")
    weight_decay: float = Field(0.0, ge=0, description="weight decay of the optimiser")
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    loss: LossConfig = LossConfig()
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: mixed precision; codes are chosen in fp32")
    compile: bool = Field(False, description="torch.compile: a minute to start, then faster steps")
    seed: int = Field(0, ge=0, description="seed of weights, batches and dropout")
