"""What a data set turned out to be, for whoever uses a model that was trained on it."""

from collections import Counter
from dataclasses import asdict
from pathlib import PurePath

from ndvq_tune.config import DataConfig, SignalData, TorchvisionData, VideoData
from ndvq_tune.config.card import Cut, DataCard
from ndvq_tune.config.data import Picture
from ndvq_tune.data.batches.samples import SampleSet
from ndvq_tune.data.cache.statistics import Statistics
from ndvq_tune.data.division import Split
from ndvq_tune.data.readers import sound

_COLOURS = {1: ("grey",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}


def data_card(
    config: DataConfig, train: Split, test: Split, train_samples: SampleSet, test_samples: SampleSet, pooled: Statistics
) -> DataCard:
    """The card of a data set.

    Args:
        config: Its settings.
        train: What training samples are cut from.
        test: What test samples are cut from.
        train_samples: Samples for training.
        test_samples: Samples for testing.
        pooled: Statistics of all values for training, as they are stored.
    """
    rates = _rates(train, test)
    picture = config if isinstance(config, Picture) else None
    return DataCard(
        type=config.type,
        source=f"torchvision.datasets.{config.name}" if isinstance(config, TorchvisionData) else "folder",
        fingerprint=train.decoded.folder.name,
        test_fingerprint=test.decoded.folder.name,
        files=len({(split.place, name) for split in (train, test) for name in split.decoded.recordings}),
        train_samples=len(train_samples),
        test_samples=len(test_samples),
        dtype=str(train_samples.dtype).removeprefix("torch."),
        low=train_samples.scale.low,
        high=train_samples.scale.high,
        minimum=pooled.minimum,
        maximum=pooled.maximum,
        channels=train_samples.shape[0],
        channel_names=_COLOURS[picture.channels] if picture else channel_names(config),
        clip_length=train_samples.window.length,
        resolution=picture.resolution if picture else None,
        sample_rate=train.decoded.settings.get("sample_rate") if _has_sounds(train) else None,
        frame_rate=_most_common(rates) / config.frame_stride if rates and isinstance(config, VideoData) else None,
        file_rates=dict(sorted(rates.items())),
        train_cut=Cut(**asdict(train_samples.window)),
        test_cut=Cut(**asdict(test_samples.window)),
    )


def channel_names(config: DataConfig) -> tuple[str, ...]:
    """What the settings call the channels; empty where they call them nothing."""
    return (config.columns or ()) if isinstance(config, SignalData) else ()


def _rates(*splits: Split) -> Counter[float]:
    """How many of the files state which rate; a file that is in both splits counts once."""
    of_file = {
        (split.place, name): rate
        for split in splits
        for name, rate in split.decoded.rates.items()
        if name in split.decoded.recordings
    }
    return Counter(of_file.values())


def _most_common(rates: Counter[float]) -> float:
    return rates.most_common(1)[0][0]


def _has_sounds(split: Split) -> bool:
    return any(PurePath(name).suffix.lower() in sound.SUFFIXES for name in split.decoded.recordings)
