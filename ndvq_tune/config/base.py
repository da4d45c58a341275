"""What all configuration shares."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]


class Frozen(BaseModel):
    """Base of all configuration: immutable, and no unknown key passes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
