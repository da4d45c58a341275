"""The search: a space, Optuna's study, Ray Tune's lanes, and what ends a trial.

The room has the name of what it is for, and can be called: ``ndvq_tune.search(space)`` is ``search.api.search``.

Ray reads much of its configuration when it is imported, so that is set here, before any module of this room loads it.
"""

import os
import sys
from types import ModuleType
from typing import Any

# What a user has set stands.
for _name, _value in {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # one more process a lane, for what a lane survives anyway
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # ours stops within seconds, in the middle of a long epoch too
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}.items():
    os.environ.setdefault(_name, _value)


class _Room(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from ndvq_tune.search.api import search

        return search(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
