"""Where data lies, and how samples are cut from it: one model for each ``data.type``."""

import os
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from ndvq_tune.config.base import Frozen, Positive

PathOrUri = Annotated[str, BeforeValidator(lambda path: os.fspath(path) if isinstance(path, os.PathLike) else path)]

Shape = tuple[int, ...]


class FolderData(Frozen):
    """What all data sets share."""

    type: str
    path: PathOrUri = Field(min_length=1, description="folder, or URI of one (s3://, gs://, hdfs://)")
    split: float | None = Field(
        None, gt=0, lt=1, description="share for training, where the folder has no train/ and test/ inside"
    )
    split_by: Literal["file", "time"] = Field(
        "file", description="with split: whole files, or the beginning and the end of every file"
    )
    max_bad: float = Field(0.1, ge=0, le=1, description="share of the files that may be left out as unreadable")
    normalise: Literal["channel", "pooled"] = Field(
        "channel", description="mean and variance: of each channel by itself, or of all values together"
    )
    augment: dict[str, dict[str, Any]] = Field(
        {}, description="random changes of training samples by name: torchvision's transforms v2, or Gain and Shift"
    )

    @property
    def sample_shape(self) -> Shape | None:
        """Shape ``(C, *S)`` of one sample; None where only the files tell, as ``data.sample_shape`` asks them."""
        return None

    @property
    def n_dims(self) -> int | None:
        """Dimensions of a sample, without channels, as far as the settings tell."""
        return None if self.sample_shape is None else len(self.sample_shape) - 1


class Picture(FolderData):
    """What videos and images share: frames of one size."""

    channels: Literal[1, 3, 4] = Field(3, description="1 grey, 3 RGB, 4 RGBA (images)")
    resolution: Positive = Field(64, description="height and width of a sample")
    resize: Positive | None = Field(None, description="what the shorter side is scaled to; resolution if not given")
    crop: Literal["centre", "random"] = Field(
        "centre", description="where training samples are cut from the scaled frames; test samples from the centre"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.shorter_side < self.resolution:
            raise ValueError(f"resize: {self.resize} is smaller than resolution: {self.resolution}")
        if self.n_dims == 2 and self.split is not None and self.split_by == "time":
            raise ValueError("split_by: an image has no time; allowed: file")
        return self

    @property
    def shorter_side(self) -> int:
        """Pixels of the shorter side after scaling."""
        return self.resize or self.resolution


class VideoData(Picture):
    """A folder of videos."""

    type: Literal["video"] = "video"
    path: PathOrUri = Field(
        "data/video_dataset", min_length=1, description="folder with train/ and test/ inside, or URI"
    )
    reader: Literal["pyav", "scikit-video"] = Field("pyav", description="scikit-video needs ffmpeg on the PATH")
    channels: Literal[1, 3] = Field(3, description="1 grey, 3 RGB")
    clip_length: Positive = Field(16, description="frames in a clip")
    clip_stride: Positive | None = Field(
        None, description="frames from the start of one training clip to the next; the frames it spans if not given"
    )
    frame_stride: Positive = Field(1, description="every how many frames a clip takes one")

    @property
    def sample_shape(self) -> Shape:
        """Shape ``(C, T, H, W)`` of one sample.

        Example:
            >>> VideoData(clip_length=8, resolution=32).sample_shape
            (3, 8, 32, 32)
        """
        return (self.channels, self.clip_length, self.resolution, self.resolution)


class ImageData(Picture):
    """A folder of images."""

    type: Literal["image"] = "image"
    path: PathOrUri = Field(
        "data/image_dataset", min_length=1, description="folder with train/ and test/ inside, or URI"
    )
    bits: Literal[8, 16] = Field(8, description="bits of a value; 16 keeps the precision of 16 bit images")

    @property
    def sample_shape(self) -> Shape:
        """Shape ``(C, H, W)`` of one sample."""
        return (self.channels, self.resolution, self.resolution)


class TorchvisionData(Picture):
    """A data set of torchvision, downloaded where it is not there."""

    type: Literal["torchvision"] = "torchvision"
    path: PathOrUri = Field("data/torchvision", min_length=1, description="folder for downloads")
    name: str = Field(description="class in torchvision.datasets, such as CIFAR10")
    options: dict[str, Any] = Field({}, description="further arguments of that class")
    clip_length: Positive | None = Field(None, description="frames in a clip, for data sets of videos")

    @property
    def sample_shape(self) -> Shape:
        """Shape ``(C, H, W)`` or ``(C, T, H, W)`` of one sample."""
        frames = () if self.clip_length is None else (self.clip_length,)
        return (self.channels, *frames, self.resolution, self.resolution)


class SignalData(FolderData):
    """A folder of sounds, series of measurements or trajectories."""

    type: Literal["signal"] = "signal"
    path: PathOrUri = Field(
        "data/signal_dataset", min_length=1, description="folder with train/ and test/ inside, or URI"
    )
    window: Positive = Field(1024, description="steps in a sample")
    hop: Positive | None = Field(
        None, description="steps from the start of one training sample to the next; window if not given"
    )
    sample_rate: Positive | None = Field(
        None, description="rate in Hz that sounds are resampled to; that of the first one if not given"
    )
    channels: Positive | None = Field(
        None, description="channels; 1 mixes sounds down; one for each of columns, or else 1, if not given"
    )
    columns: tuple[str, ...] | None = Field(None, min_length=1, description="columns of csv files, one a channel")

    @model_validator(mode="after")
    def _columns_are_channels(self) -> Self:
        if self.columns is not None and self.channels not in (None, len(self.columns)):
            raise ValueError(f"channels: {self.channels}, but columns names {len(self.columns)}; leave channels out")
        return self

    @property
    def n_channels(self) -> int:
        """Channels of a sample."""
        return self.channels or len(self.columns or (None,))

    @property
    def sample_shape(self) -> Shape:
        """Shape ``(C, L)`` of one sample."""
        return (self.n_channels, self.window)


class ArrayData(FolderData):
    """A folder of array files: npy, npz, HDF5 or zarr."""

    type: Literal["array"] = "array"
    path: PathOrUri = Field(
        "data/array_dataset", min_length=1, description="folder with train/ and test/ inside, or URI"
    )
    axes: str | None = Field(
        None,
        description="a letter for each axis of the files: N samples, C channels, others spatial; NC... if not given",
    )
    key: str | None = Field(None, description="name of the array in npz, HDF5 and zarr files that hold several")

    @field_validator("axes")
    @classmethod
    def _letters(cls, value: str | None) -> str | None:
        if value is not None and (not re.fullmatch("[A-Z]+", value) or len(set(value)) < len(value)):
            raise ValueError("different capital letters, such as NCHW or NTHWC")
        if value is not None and not set(value) - set("NC"):
            raise ValueError("at least one letter beside N (samples) and C (channels)")
        return value

    @property
    def n_dims(self) -> int | None:
        """Dimensions of a sample, without channels, as far as ``axes`` tells."""
        return None if self.axes is None else len(set(self.axes) - set("NC"))


def _type(data: Any) -> Any:
    return data.get("type", "video") if isinstance(data, dict) else getattr(data, "type", "video")


DataConfig = Annotated[
    Annotated[VideoData, Tag("video")]
    | Annotated[ImageData, Tag("image")]
    | Annotated[TorchvisionData, Tag("torchvision")]
    | Annotated[SignalData, Tag("signal")]
    | Annotated[ArrayData, Tag("array")],
    Discriminator(_type),
]
