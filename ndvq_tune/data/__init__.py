"""Data: folders of videos, decoded once, cut into clips and served in batches.

``open_dataset`` and ``batches`` are all that training needs.
"""

from ndvq_tune.data.clips import ClipSet
from ndvq_tune.data.dataset import Dataset, open_dataset
from ndvq_tune.data.loader import batches, batches_per_epoch
from ndvq_tune.data.progress import Progress

__all__ = ["ClipSet", "Dataset", "Progress", "batches", "batches_per_epoch", "open_dataset"]
