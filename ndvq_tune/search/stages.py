"""Small samples first: the stages that a trial goes through under ``search.fidelity``."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from ndvq_tune.config import DataConfig, RunConfig
from ndvq_tune.errors import DataError, Problem
from ndvq_tune.search.engine.schedulers.asha import rungs
from ndvq_tune.search.space.settings import SearchSettings
from ndvq_tune.search.space.settings.fidelity import FidelitySettings
from ndvq_tune.search.space.settings.scheduler import AshaSettings, HyperbandSettings

_DATA: TypeAdapter[DataConfig] = TypeAdapter(DataConfig)


@dataclass(frozen=True)
class Stage:
    """A part of a trial's epochs.

    Attributes:
        after_epoch: Epochs that the trial has behind it when the stage begins.
        run: The complete run configuration of the stage.
        fidelity: Elements of a sample, as a share of those of a full one.
    """

    after_epoch: int
    run: RunConfig
    fidelity: float = 1.0


def stages(run: RunConfig, search: SearchSettings, max_epochs: int) -> tuple[Stage, ...]:
    """The stages of a trial, the last with full samples; only that one where all samples are full.

    Trials are promoted after the same epochs, so that they compare. One that has too few epochs of its own for this is
    promoted as late as leaves an epoch for each stage, and where not even that is possible, the first stages are left
    out.

    Args:
        run: The trial's complete run configuration.
        search: Settings of the search.
        max_epochs: Most epochs of any trial.
    """
    own_epochs, count = run.training.max_epochs, search.fidelity.stages
    begins = [
        max(0, min(epoch, own_epochs - count + number))
        for number, epoch in enumerate([0, *_promotions(search, max_epochs)])
    ]
    ends = [*begins[1:], own_epochs]
    return tuple(
        Stage(begin, run.model_copy(update={"data": data}), _share(data, run.data))
        for begin, end, data in zip(begins, ends, stage_data(run.data, search.fidelity), strict=True)
        if begin < end
    )


def stage_data(data: DataConfig, fidelity: FidelitySettings) -> list[DataConfig]:
    """The data of each stage; frames are scaled down with the resolution, so that they show the same."""
    return [
        _resized(data, {name: sizes[stage] for name, sizes in fidelity.sizes.items()})
        for stage in range(fidelity.stages)
    ]


def problems(data: DataConfig, fidelity: FidelitySettings, max_epochs: int) -> list[Problem]:
    """What is wrong with stages for this data.

    The model asks nothing of them: it has no weights for a size, and pads what its factors do not divide.

    Args:
        data: The data of the search.
        fidelity: The stages.
        max_epochs: Most epochs of any trial.
    """
    found = [problem for name, sizes in fidelity.sizes.items() for problem in _size_problems(data, name, sizes)]
    if fidelity.promote_after and fidelity.promote_after[-1] >= max_epochs:
        message = (
            f"{list(fidelity.promote_after)} given; needs to end before training.max_epochs, which is {max_epochs}"
        )
        found.append(Problem("search.fidelity.promote_after", message))
    return found or _augment_problems(data, fidelity)


def _promotions(search: SearchSettings, max_epochs: int) -> Sequence[int]:
    """Epochs after which a trial goes on to the next stage."""
    fidelity, count = search.fidelity, search.fidelity.stages
    if fidelity.promote_after is not None:
        return fidelity.promote_after
    compared = _compared_after(search, max_epochs)
    if len(compared) >= count - 1:
        return compared[len(compared) - (count - 1) :]
    return [max_epochs * number // count for number in range(1, count)]


def _compared_after(search: SearchSettings, max_epochs: int) -> list[int]:
    """Epochs at which the scheduler compares trials, where it counts epochs, of its first bracket."""
    scheduler = search.scheduler
    if not isinstance(scheduler, AshaSettings | HyperbandSettings) or search.fidelity.unit != "epochs":
        return []
    return list(rungs(scheduler.grace_period, scheduler.reduction_factor, max_epochs))


def _share(data: DataConfig, full: DataConfig) -> float:
    """Elements of a sample over those of a full one."""
    if data.sample_shape is None or full.sample_shape is None:
        return 1.0  # such data has no stages
    return math.prod(data.sample_shape) / math.prod(full.sample_shape)


def _resized(data: DataConfig, sizes: Mapping[str, int]) -> DataConfig:
    settings = data.model_dump()
    scale = sizes["resolution"] / settings["resolution"] if "resolution" in sizes else 1
    resize = {"resize": round(settings["resize"] * scale)} if settings.get("resize") else {}
    return _DATA.validate_python({**settings, **sizes, **resize})


def _size_problems(data: DataConfig, name: str, sizes: Sequence[int]) -> list[Problem]:
    key, full = f"search.fidelity.{name}", getattr(data, name, None)
    if full is None:
        return [Problem(key, f"data of the type {data.type} has no {name} here; leave it out")]
    if sizes[-1] != full:
        return [Problem(key, f"{list(sizes)} given; needs to end with data.{name}, which is {full}")]
    return []


def _augment_problems(data: DataConfig, fidelity: FidelitySettings) -> list[Problem]:
    """Changes of samples that are made for one size only."""
    if fidelity.stages == 1 or not data.augment:
        return []
    from ndvq_tune.data.batches.augment import augmentation  # torch, which most spaces can be checked without

    try:
        for smaller in stage_data(data, fidelity)[:-1]:
            augmentation(smaller)
    except DataError as error:
        key, _, message = str(error).partition(": ")
        return [Problem(key, f"{message} (in an earlier stage of search.fidelity)")]
    return []
