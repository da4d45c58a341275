"""H.264, by x264 and FFmpeg."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

from ndvq_tune.baselines.codec import Codec, Pixels, Values, from_pixels, to_pixels

RATE_FACTORS = range(51, -1, -1)
FRAME_RATE = 25  # nothing depends on it, but a codec needs one
COLOUR, GREY = ("rgb24", "yuv444p"), ("gray", "gray")  # what is handed over, and what is coded: any sizes, odd ones too
WITHOUT_REMARKS = "filter_units=remove_types=6"  # x264 writes its name and all its settings into each video


def _h264(samples: Values, rate_factor: int) -> tuple[int, Values]:
    """Each clip by itself, at a constant rate factor; its bits are those of its packets, without the headers."""
    coded = [_clip(clip, rate_factor) for clip in to_pixels(samples)]
    return sum(bits for bits, _ in coded), from_pixels([clip for _, clip in coded])


H264 = Codec("H.264", RATE_FACTORS, _h264)


def _clip(clip: Pixels, rate_factor: int) -> tuple[int, Pixels]:
    """Bits and what is decoded of a clip ``(T, H, W, C)``."""
    given, coded = GREY if clip.shape[-1] == 1 else COLOUR
    encoder = _encoder(clip.shape[1], clip.shape[2], coded, rate_factor)
    pictures = clip[..., 0] if given == "gray" else clip
    frames = [av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=given) for picture in pictures]
    remarks = BitStreamFilterContext(WITHOUT_REMARKS, "h264")
    found = [packet for frame in [*frames, None] for packet in encoder.encode(frame)]
    packets = [packet for each in [*found, None] for packet in remarks.filter(each)]
    bits = 8 * sum(packet.size for packet in packets)
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    decoder.extradata = encoder.extradata
    decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return bits, np.stack([_grey(frame) if given == "gray" else frame.to_ndarray(format=given) for frame in decoded])


def _encoder(height: int, width: int, pixels: str, rate_factor: int) -> Any:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pixels
    encoder.framerate, encoder.time_base = FRAME_RATE, Fraction(1, FRAME_RATE)
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.thread_count = 1
    encoder.options = {"crf": str(rate_factor), "tune": "psnr"}  # by squared errors, as it is judged
    return encoder


def _grey(frame: Any) -> Pixels:
    """The luminance as it was coded: a conversion would take it for a narrower range."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width, None].copy()
