"""The data card: what a model was trained on, as it turned out."""

from typing import Any

from ndvq_tune.config.base import Frozen


class Cut(Frozen):
    """How samples were cut from files.

    Attributes:
        length: Rows (frames, steps) in a sample; None for one row without an axis of its own: an image, or an array.
        stride: Rows from the start of one sample to the next.
        step: Rows from one to the next within a sample.
        crop: Height and width of what was cut from larger frames; None where they were stored in that size.
    """

    length: int | None
    stride: int
    step: int
    crop: int | None


class DataCard(Frozen):
    """What a model was trained on: the settings of ``data`` with what they left to the files.

    ``model.data`` of a loaded model, and ``data`` in ``config.json`` of a checkpoint.

    Attributes:
        type: ``data.type``.
        source: ``folder``, or the class in torchvision that the samples came from.
        fingerprint: Hash of the content of all training files, and of the settings that decoding depends on; the name
            of their entry in the cache.
        test_fingerprint: The same of the test files; where ``data.split`` divided one folder, the same.
        files: Files that samples were cut from.
        train_samples: Samples for training.
        test_samples: Samples for testing.
        dtype: Type of the stored values, such as ``uint8``.
        low: The stored value that the model sees as 0.
        high: The stored value that it sees as 1.
        minimum: The least stored value of the training data.
        maximum: The greatest.
        channels: Channels of a sample.
        channel_names: What they are called, in their order; empty where that is not known.
        clip_length: Frames of a clip, or steps of a window; None for images and arrays.
        resolution: Height and width of a frame; None for signals and arrays.
        sample_rate: Steps a second of a sample, in Hz, where the signals are sounds.
        frame_rate: Frames a second of a clip, by the rate that most of the videos have; None where none states one.
        file_rates: Steps or frames a second as the files state them, with the number of files.
        train_cut: How training samples were cut.
        test_cut: How test samples were cut.
    """

    type: str
    source: str
    fingerprint: str
    test_fingerprint: str
    files: int
    train_samples: int
    test_samples: int
    dtype: str
    low: float
    high: float
    minimum: float
    maximum: float
    channels: int
    channel_names: tuple[str, ...]
    clip_length: int | None
    resolution: int | None
    sample_rate: float | None
    frame_rate: float | None
    file_rates: dict[float, int]
    train_cut: Cut
    test_cut: Cut

    def to_unit(self, values: Any) -> Any:
        """Values in the data's own units, as the model takes them: in [0, 1] where they lie between low and high.

        Args:
            values: A number, an array or a tensor, of floats or bytes.

        Example:
            >>> sound = DataCard.model_construct(low=-0.5, high=0.5)
            >>> sound.to_unit(0.0), sound.from_unit(1.0)
            (0.5, 0.5)
        """
        return (values - self.low) / (self.high - self.low)

    def from_unit(self, values: Any) -> Any:
        """What a model gives, in the data's own units; not rounded.

        Args:
            values: A number, an array or a tensor, of floats.
        """
        return values * (self.high - self.low) + self.low

    @property
    def resampled(self) -> dict[float, int]:
        """Rates of sounds that were resampled, with the number of files."""
        if self.sample_rate is None:
            return {}
        return {rate: count for rate, count in self.file_rates.items() if rate != self.sample_rate}
