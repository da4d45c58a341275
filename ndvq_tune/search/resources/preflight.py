"""What can be said of a configuration before it gets a lane, and how much of a space that leaves."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import optuna
from optuna.samplers import RandomSampler

from ndvq_tune.config import ModelConfig, RunConfig, TrainingConfig
from ndvq_tune.errors import ShapeError, first_line
from ndvq_tune.model import build_model_of_shapes
from ndvq_tune.search.engine.optuna_space import suggest
from ndvq_tune.search.engine.proposals import Check
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.evaluation import rate, static_metrics
from ndvq_tune.training.prediction import DeviceType, Prediction, predict

RATE = "bits_per_element"
STATIC = (RATE, "parameters")
MEMORY, SHAPE = "memory", "shape"

# They change how a model learns, and nothing of what it takes.
_COSTLESS_MODEL: dict[str, Any] = {
    "codebook_beta": True,
    "ema_decay": True,
    "quantizer": {"restart_threshold", "entropy_weight"},
}
_COSTLESS_TRAINING: dict[str, Any] = {
    **dict.fromkeys(("learning_rate", "adam_learning_rate", "beta1", "beta2", "eps", "schedule"), True),
    **dict.fromkeys(("max_epochs", "weight_decay", "gradient_clip", "compile", "seed"), True),
    "validation_metrics": True,
    "optimizer": {"momentum", "newton_schulz_steps"},
}
_DECIDE_THE_RATE = {"n_dims", "downsample", "n_codes", "quantizer"}
_UNFIT = (ShapeError, RuntimeError, ValueError)  # torch has no error of its own for sizes

Found = TypeVar("Found", Prediction, dict[str, float])


class Preflight:
    """Looks at configurations of a space before they are trained; at each model once.

    Args:
        space: The space, whose constraints on ``bits_per_element`` and ``parameters`` are kept.
        sample_shape: Shape ``(C, *S)`` of a sample.
        memory: Bytes that one worker may take; None if nobody knows.
        device_type: Where workers train.
    """

    def __init__(
        self,
        space: SearchSpace,
        sample_shape: Sequence[int],
        memory: float | None = None,
        device_type: DeviceType = "cpu",
    ) -> None:
        goals = space.search.goals
        known = tuple(bound for bound in goals.constraints if bound.metric in STATIC)
        self._goals = replace(goals, constraints=known)
        read = {bound.metric for bound in known} | {objective.metric for objective in goals.objectives}
        self._only_rate = read.isdisjoint(set(STATIC) - {RATE})
        self._shape = tuple(sample_shape)
        self._memory, self._device_type = memory, device_type
        self._workers = max(1, space.search.resources.workers_per_trial)

    def check(self, config: RunConfig) -> Check:
        """What rules a configuration out: the metric of a constraint, ``memory``, or ``shape`` if no model fits it.

        Memory is given as a share of what is allowed, minus 1, and only where nothing else rules it out.
        """
        metrics = self.static(config)
        if isinstance(metrics, str):
            return Check({SHAPE: 1.0}, (SHAPE,))
        constraints = self._goals.violations(metrics)
        broken = tuple(name for name, violation in constraints.items() if violation > 0)
        if broken or self._memory is None:
            return Check(constraints, broken)
        predicted = self.predict(config)
        if isinstance(predicted, str):
            return Check({SHAPE: 1.0}, (SHAPE,))
        constraints[MEMORY] = predicted.memory_bytes / self._memory - 1
        return Check(constraints, (MEMORY,) if constraints[MEMORY] > 0 else ())

    def goal_metrics(self, config: RunConfig) -> dict[str, float] | None:
        """Those of ``STATIC`` that objectives or constraints read; None if a constraint, or the shape, rules it out.

        Without the rest of the model where the rate is all that is read.
        """
        metrics = _rate(_rate_key(config), self._shape) if self._only_rate else self.static(config)
        return None if isinstance(metrics, str) or not self._goals.kept(metrics) else metrics

    def static(self, config: RunConfig) -> dict[str, float] | str:
        """What ``static_metrics`` tells, or why there is no model for these samples."""
        return _static(_model_key(config), self._shape)

    def predict(self, config: RunConfig) -> Prediction | str:
        """What a worker needs to train a configuration, or in one line why it cannot be trained at all."""
        training = config.training.model_dump_json(exclude=_COSTLESS_TRAINING)
        return _predicted(_model_key(config), training, self._shape, self._device_type, self._workers)


def random_configurations(space: SearchSpace, samples: int, seed: int = 0) -> Iterator[RunConfig]:
    """Configurations drawn at random from a space.

    Args:
        space: The space.
        samples: How many.
        seed: An equal seed draws equal configurations.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=RandomSampler(seed=seed))
    for _ in range(samples):
        yield suggest(space, study.ask()).config


def feasible_share(
    space: SearchSpace, preflight: Preflight, samples: int = 200, seed: int = 0
) -> tuple[float, dict[str, int]]:
    """Share of random configurations that pass, and how many each reason rules out.

    Args:
        space: The space.
        preflight: What rules a configuration out.
        samples: How many configurations are drawn.
        seed: Seed of the draw.

    Returns:
        The share in [0, 1]; and by reason how many it rules out: a configuration may have several reasons.
    """
    broken = [preflight.check(config).broken for config in random_configurations(space, samples, seed)]
    return broken.count(()) / samples, dict(Counter(name for names in broken for name in names))


def large_memory(space: SearchSpace, preflight: Preflight, samples: int = 24, seed: int = 0) -> float | None:
    """Predicted bytes of a worker for a large configuration: the 95th percentile of random ones that are allowed.

    Args:
        space: The space.
        preflight: What is allowed, and what it takes.
        samples: How many configurations are drawn.
        seed: Seed of the draw.

    Returns:
        Bytes; None where none of the configurations can be trained.
    """
    allowed = (config for config in random_configurations(space, samples, seed) if not preflight.check(config).broken)
    found = [predicted for config in allowed if not isinstance(predicted := preflight.predict(config), str)]
    return float(np.quantile([predicted.memory_bytes for predicted in found], 0.95)) if found else None


def _model_key(config: RunConfig) -> str:
    # How much dropout there is does not matter, but whether there is any does.
    model, attention = (
        section.model_copy(update={"dropout": 0.5 if section.dropout else 0.0})
        for section in (config.model, config.model.attention)
    )
    return model.model_copy(update={"attention": attention}).model_dump_json(exclude=_COSTLESS_MODEL)


def _rate_key(config: RunConfig) -> str:
    return config.model.model_dump_json(include=_DECIDE_THE_RATE)


def _or_reason(find: Callable[[], Found]) -> Found | str:
    """What is found, or the first line of why nothing is."""
    try:
        return find()
    except _UNFIT as error:
        return first_line(error)


@lru_cache(maxsize=4096)
def _static(model: str, shape: tuple[int, ...]) -> dict[str, float] | str:
    return _or_reason(lambda: static_metrics(build_model_of_shapes(ModelConfig.model_validate_json(model), shape)))


@lru_cache(maxsize=4096)
def _rate(model: str, shape: tuple[int, ...]) -> dict[str, float] | str:
    return _or_reason(lambda: {RATE: rate(ModelConfig.model_validate_json(model), shape)})


@lru_cache(maxsize=4096)
def _predicted(
    model: str, training: str, shape: tuple[int, ...], device_type: DeviceType, workers: int
) -> Prediction | str:
    parts = {
        "model": ModelConfig.model_validate_json(model),
        "training": TrainingConfig.model_validate_json(training),
    }
    # Without data, of which the shape says enough.
    return _or_reason(lambda: predict(RunConfig().model_copy(update=parts), shape, device_type, workers))
