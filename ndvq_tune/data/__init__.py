"""Data (for the moment without what is being rewritten)."""

from ndvq_tune.data.loader import batches, batches_per_epoch
from ndvq_tune.data.progress import Progress
from ndvq_tune.data.scale import Scale
from ndvq_tune.data.windows import SampleSet, Window
