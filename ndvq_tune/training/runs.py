"""What a worker does on command, in plain torch."""

import gc
import traceback
from functools import lru_cache
from typing import Any

import torch
from pydantic import TypeAdapter

from ndvq_tune.config import DataConfig, RunConfig
from ndvq_tune.data.dataset import Dataset, open_dataset
from ndvq_tune.goals import Report
from ndvq_tune.training.checkpoint import pack, unpack
from ndvq_tune.training.files import Files
from ndvq_tune.training.group import ERROR, OK
from ndvq_tune.training.loop import Training


class Runs:
    """The run that a worker trains at the moment.

    Args:
        rank: This worker.
        world_size: How many workers train the run together.
        device: Where it trains.
    """

    def __init__(self, rank: int, world_size: int, device: torch.device) -> None:
        self._rank, self._world_size, self._device = rank, world_size, device
        self._training: Training | None = None

    def obey(self, name: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
        """Carry out a command; its answer, or the error's text. No error of a run may end the worker."""
        try:
            return OK, getattr(self, name)(*arguments)
        except Exception as error:
            self._forget()
            return ERROR, f"{type(error).__name__}: {error}\n{traceback.format_exc()}"

    def start(self, run: RunConfig, checkpoint: Files | None) -> None:
        """Begin a run, from a checkpoint if one is given, also of one with samples of another size."""
        self._forget()
        # What is left, modules above all, outlives every run. Frozen, it is not looked through again, which took a
        # quarter of a second from trial to trial. Not after an error: its traceback still holds the run.
        gc.freeze()
        training = Training(run, _dataset(run.data.model_dump_json()), self._device, self._rank, self._world_size)
        if checkpoint is not None:
            unpack(training, checkpoint)
        self._training = training

    def train(self) -> Report:
        """Train to the next report."""
        assert self._training is not None
        return self._training.run_epoch()

    def save(self) -> Files | None:
        """The run's state, from the first rank."""
        assert self._training is not None
        return pack(self._training) if self._rank == 0 else None

    def restart_codes(self) -> bool:
        """Let the next step take all codes anew from its batch; False if the codes are fixed."""
        assert self._training is not None
        return self._training.model.quantizer.restart()

    def _forget(self) -> None:
        self._training = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@lru_cache(maxsize=4)
def _dataset(config: str) -> Dataset:
    """Opened once in the life of a worker, not once a trial. As JSON, because what has mappings has no hash."""
    data: DataConfig = TypeAdapter(DataConfig).validate_json(config)
    return open_dataset(data)
