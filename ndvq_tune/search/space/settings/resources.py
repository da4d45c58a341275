"""What trials run on."""

from typing import Literal

from pydantic import Field, field_validator

from ndvq_tune.config import Frozen, Positive


class ResourceSettings(Frozen):
    """What one trial gets."""

    workers_per_trial: int = Field(
        1, ge=0, description="Ray Train workers of a trial (DDP from 2); 0 trains in the lane's own process"
    )
    cpus_per_worker: Positive | None = Field(
        None, description="CPUs of a worker; an even share of the cluster if not given"
    )
    gpus_per_trial: float | None = Field(
        None,
        ge=0,
        description="GPUs of a trial: a share of one (0.25), or whole ones, as many for each worker; from predicted "
        "memory, or one for each worker, if not given",
    )
    lanes: Positive | Literal["auto"] = Field(
        "auto", description="concurrent trials; auto: what the cluster's CPUs, GPUs and memory hold"
    )

    @field_validator("gpus_per_trial")
    @classmethod
    def _whole_above_one(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and not value.is_integer():
            raise ValueError("a share of one GPU (0.5), or a whole number of GPUs")
        return value
