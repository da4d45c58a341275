"""Data: folders of videos, images, signals or arrays, decoded once, cut into samples and served in batches.

``open_dataset`` and ``batches`` are all that training needs.
"""

from ndvq_tune.data.augment import augmentation
from ndvq_tune.data.dataset import Dataset, open_dataset, sample_shape
from ndvq_tune.data.loader import batches, batches_per_epoch
from ndvq_tune.data.progress import Progress
from ndvq_tune.data.scale import Scale
from ndvq_tune.data.windows import SampleSet, Window

__all__ = [
    "Dataset",
    "Progress",
    "SampleSet",
    "Scale",
    "Window",
    "augmentation",
    "batches",
    "batches_per_epoch",
    "open_dataset",
    "sample_shape",
]
