"""A split as clips: windows over the cached frames."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from ndvq_tune.data.cache import CachedVideo


class ClipSet:
    """Clips of equal length, cut from decoded videos on demand.

    ``clips[[4, 0]]`` is a uint8 tensor of shape ``(2, C, T, H, W)``. Its memory is laid out channels last, as the
    frames are on disk, which is also what convolutions are fastest on; nothing is transposed.
    """

    def __init__(
        self, frames: npt.NDArray[np.uint8], videos: Sequence[CachedVideo], clip_length: int, stride: int
    ) -> None:
        """Lays clips over videos; no clip spans two of them.

        Args:
            frames: uint8 of shape ``(N, H, W, C)``.
            videos: Where each video is in ``frames``.
            clip_length: Frames in a clip.
            stride: Frames from the start of one clip to the next.
        """
        self._frames = frames
        self._offsets = np.arange(clip_length)
        self._starts = np.concatenate(
            [v.start + np.arange(0, v.frames - clip_length + 1, stride, dtype=np.int64) for v in videos]
        )

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape ``(C, T, H, W)`` of one clip."""
        _, height, width, channels = self._frames.shape
        return (channels, len(self._offsets), height, width)

    def __getitem__(self, indices: Sequence[int] | npt.NDArray[np.int64] | slice) -> torch.Tensor:
        starts = self._starts[indices]
        clips = self._frames[starts[:, None] + self._offsets]
        return torch.from_numpy(np.asarray(clips)).permute(0, 4, 1, 2, 3)
