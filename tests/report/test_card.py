from ndvq_tune.report.card import facts
from tests.report.card_examples import SOUNDS, VIDEOS


def test_a_card_is_told_with_counts_shape_rate_range_and_fingerprints() -> None:
    assert facts(VIDEOS, (3, 8, 64, 64)) == {
        "data": "video, from a folder",
        "files": "12",
        "samples": "1,024 for training, 64 for testing",
        "shape": "3 x 8 x 64 x 64, channels first (red, green and blue)",
        "cut": "8 rows, 2 apart, a sample every 4",
        "frame rate": "12.5 a second; files: 11 of 25 and 1 of 30",
        "range": "0 to 255, which a model sees as 0 to 1",
        "values": "uint8, for training from 3 to 251",
        "fingerprint": "f00d; test files cafe",
    }
    assert facts(SOUNDS, (1, 8))["sample rate"] == "16,000 Hz; 2 files resampled"
