"""Whether the parts of a search space go together: sampler, objectives, data and stages."""

from collections.abc import Sequence

from ndvq_tune.distributions import Range
from ndvq_tune.errors import ConfigError, Problem
from ndvq_tune.metrics import METRICS, misfit
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.search.space.settings.sampler import CURVES, GRID
from ndvq_tune.search.stages import problems as stage_problems
from ndvq_tune.search.stages import stage_data

MOST_POINTS = 100_000  # of a grid
_VALIDATION_METRICS = "training.validation_metrics"


def check(space: SearchSpace) -> None:
    """Make sure that a space can be searched as it says.

    Raises:
        ConfigError: With everything that does not go together.
    """
    problems = [
        *_sampler_problems(space),
        *_population_problems(space),
        *_curve_problems(space),
        *(stage_problems(space.data, space.search.fidelity, space.max_epochs) or _stage_metric_problems(space)),
    ]
    if problems:
        raise ConfigError(space.name, problems)


def check_samples(space: SearchSpace, sample_shape: Sequence[int]) -> None:
    """Make sure that samples have what the search measures.

    Args:
        space: The space.
        sample_shape: Shape ``(C, *S)`` of a sample.

    Raises:
        ConfigError: If they do not.
    """
    if problems := _metric_problems(space, sample_shape):
        raise ConfigError(space.name, problems)


def _metric_problems(space: SearchSpace, sample_shape: Sequence[int]) -> list[Problem]:
    if any(parameter.key == _VALIDATION_METRICS for parameter in space.searched):
        return [Problem(_VALIDATION_METRICS, "is not searched, as trials would not compare; give all that are wanted")]
    return [
        Problem(space.search.named_metrics.get(name, _VALIDATION_METRICS), reason)
        for name in space.complete({}).training.validation_metrics
        if (reason := misfit(name, sample_shape))
    ]


def _stage_metric_problems(space: SearchSpace) -> list[Problem]:
    """Metrics that samples cannot have: those of ``data``, or smaller ones to begin with."""
    shapes = [data.sample_shape for data in stage_data(space.data, space.search.fidelity) if data.sample_shape]
    if not shapes:
        return []  # files have to be asked, and such data has no stages
    of_stage = [Problem("search.fidelity", problem.message) for problem in _metric_problems(space, shapes[0])]
    return _metric_problems(space, shapes[-1]) or of_stage


def _sampler_problems(space: SearchSpace) -> list[Problem]:
    key, settings = "search.sampler.type", space.search
    if settings.sampler.type == "cmaes" and len(settings.objectives) > 1:
        return [Problem(key, "cmaes takes one objective; for several there are tpe, gp, nsga2, random, qmc and grid")]
    preferred = [parameter.key for parameter in space.searched if parameter.preference]
    if preferred and settings.sampler.type in (GRID, "qmc"):
        what = f"{settings.sampler.type} takes points as they come, whatever is preferred of {', '.join(preferred)}"
        return [Problem(key, f"{what}; leave out `prefer`, or take another sampler")]
    if settings.sampler.type != GRID:
        return []
    ranges = [p.key for p in space.searched if isinstance(p.distribution, Range) and not p.distribution.integer]
    if ranges:
        return [Problem(key, f"grid tries every value, but {', '.join(ranges)} can have any; give choices there")]
    points = 1
    for parameter in space.searched:
        values = parameter.distribution
        points *= int(values.high - values.low) + 1 if isinstance(values, Range) else len(values.probes)
    if points > MOST_POINTS:
        return [Problem(key, f"grid would have up to {points:,} points; it takes up to {MOST_POINTS:,}")]
    return []


def _population_problems(space: SearchSpace) -> list[Problem]:
    if space.search.scheduler.type == "pbt" and space.search.fidelity.stages > 1:
        return [Problem("search.fidelity", "pbt compares trials at full size; leave out resolution and clip_length")]
    return []


def _curve_problems(space: SearchSpace) -> list[Problem]:
    """What the model of learning curves cannot do."""
    settings = space.search
    modelled = [
        name for name, used in ((CURVES, settings.sampler), ("promote", settings.scheduler)) if used.type == name
    ]
    if not modelled:
        return []
    who, problems = " and ".join(modelled), []
    constant = [METRICS[name].constant for name in settings.goals.metrics]
    if constant.count(False) != 1 or constant.count(True) > 1:
        known = ", ".join(name for name, metric in METRICS.items() if metric.constant and metric.mode)
        message = f"{who}: needs one that training decides, and at most one that is known before it ({known})"
        problems.append(Problem("search.objectives", message))
    if settings.fidelity.unit != "epochs" or settings.fidelity.stages > 1:
        message = f"{who}: counts epochs, on samples of full size; leave out unit, resolution and clip_length"
        problems.append(Problem("search.fidelity", message))
    return problems
