"""What a scheduler is."""

from collections.abc import Callable, Iterable

from ndvq_tune.records import TrialRecord

Stops = Callable[[TrialRecord, Iterable[TrialRecord]], bool]
"""Whether a trial whose last report is new should end, given all other trials that search, finished or not."""

UNITS = {"epochs": "epoch", "samples": "samples_seen", "seconds": "training_seconds"}
"""What a report says of each unit of ``search.fidelity``."""
