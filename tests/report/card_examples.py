"""Data cards, as a folder of videos and one of sounds have them."""

from ndvq_tune.config.card import Cut, DataCard

CLIPS = Cut(length=8, stride=4, step=2, crop=None)
VIDEOS = DataCard(
    type="video", source="folder", fingerprint="f00d", test_fingerprint="cafe", files=12, train_samples=1024,
    test_samples=64, dtype="uint8", low=0.0, high=255.0, minimum=3.0, maximum=251.0, channels=3,
    channel_names=("red", "green", "blue"), clip_length=8, resolution=64, sample_rate=None, frame_rate=12.5,
    file_rates={25.0: 11, 30.0: 1}, train_cut=CLIPS, test_cut=CLIPS,
)  # fmt: skip
SOUNDS = VIDEOS.model_copy(
    update={"type": "signal", "sample_rate": 16000.0, "frame_rate": None, "file_rates": {16000.0: 3, 44100.0: 2}}
)
