"""Why a trial lost its lane."""

from pathlib import Path

from ray import cloudpickle
from ray.tune.experiment import Trial


def why_lost(trial: Trial) -> str:
    """The error that ended the lane of a trial, as Tune knows it: its first line says what happened."""
    if trial.pickled_error_file is None:
        return "no error is known"
    error = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    return str(getattr(error, "cause", None) or error)
