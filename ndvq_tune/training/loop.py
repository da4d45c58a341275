"""Training one model, epoch by epoch. Plain torch: it runs in a notebook, or on many ranks under DDP."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ndvq_tune.config import RunConfig
from ndvq_tune.data.batches.augment import augmentation
from ndvq_tune.data.batches.loader import batches, batches_per_epoch
from ndvq_tune.data.dataset import Dataset
from ndvq_tune.goals import Report
from ndvq_tune.model import NDimVQVAE, build_model
from ndvq_tune.training.evaluation import evaluate
from ndvq_tune.training.fast_paths import compiled_where_right, keep_right_layers_fast
from ndvq_tune.training.losses import reconstruction_loss
from ndvq_tune.training.memory import peak_bytes, reset_peak

OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
WARMUP_SHARE = 0.05
FINAL_SHARE = 0.1


class Training:
    """A model with its data and optimiser, as far as it has been trained.

    ``epoch``, ``samples_seen`` and ``seconds`` say how far: epochs done, training samples of all ranks together, and
    time in training and validation.

    Args:
        config: The complete configuration.
        dataset: The data that ``config.data`` describes.
        device: Where to train.
        rank: This rank, in an initialised ``torch.distributed`` group if there are several.
        world_size: How many ranks train this model together.

    Example:
        On images of noise; those of a folder are ``open_dataset(config.data)``.

        >>> from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
        >>> samples = SampleSet([torch.rand(8, 16, 16, 1).numpy()], Window(), Scale(0, 1))
        >>> dataset = Dataset(samples, samples, mean=0.5, variance=1 / 12, skipped={}, files=1)
        >>> model = {"n_dims": 2, "n_codes": 16, "n_hiddens": 8}
        >>> config = RunConfig.model_validate({"data": {"type": "array", "path": "noise"}, "model": model})
        >>> report = Training(config, dataset).run_epoch()
        >>> report["epoch"], report["samples_seen"], report["bits_per_element"]
        (1, 8.0, 0.25)
    """

    def __init__(
        self,
        config: RunConfig,
        dataset: Dataset,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.config, self.dataset = config, dataset
        self.device, self.rank, self.world_size = torch.device(device), rank, world_size
        self.epoch, self.samples_seen, self.seconds = 0, 0, 0.0
        settings = config.training
        self._rank_batch = max(1, settings.batch_size // world_size)
        self._epoch_steps = batches_per_epoch(len(dataset.train), self._rank_batch, world_size)
        torch.manual_seed(settings.seed)
        reset_peak(self.device)
        self.model = _model(config, dataset).to(self.device)
        self._bf16_layers = keep_right_layers_fast(self.model, self._rank_batch, bf16=settings.precision == "bf16")
        self.optimizer = OPTIMIZERS[settings.optimizer](
            self.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._network = self._trained_network()
        self._augment = augmentation(config.data)
        # Weights were drawn alike on all ranks; dropout and changes of samples are each rank's own from here on.
        torch.manual_seed(settings.seed + rank)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.config.training.max_epochs

    def fit(self, report: Callable[[Report], object]) -> None:
        """Train to the last epoch, with one report after each."""
        while not self.finished:
            report(self.run_epoch())

    def run_epoch(self) -> Report:
        """Train one epoch, then validate.

        Returns:
            ``epoch``, counted from 1, and every metric of ``ndvq_tune.metrics``.
        """
        self.model.train()
        start = time.perf_counter()
        samples, recon_loss = 0, torch.zeros((), device=self.device)
        for step, batch in enumerate(self._batches(), start=self.epoch * self._epoch_steps):
            x = self.dataset.train.scale.to_unit(batch, self.device)
            recon_loss += self.step(step, self._augment(x) if self._augment else x) * len(batch)
            samples += len(batch)
        train_recon_loss = recon_loss.item() / samples
        seconds = time.perf_counter() - start
        self.epoch += 1
        self.samples_seen += samples * self.world_size
        validation = evaluate(
            self.model, self.dataset.test, self.config.training.batch_size, self.rank, self.world_size
        )
        self.seconds += time.perf_counter() - start
        return {
            "epoch": self.epoch,
            **validation,
            "train_recon_loss": train_recon_loss,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "samples_per_second": samples * self.world_size / seconds,
            "peak_memory_bytes": peak_bytes(self.device),
            "samples_seen": float(self.samples_seen),
            "training_seconds": self.seconds,
            "fidelity": 1.0,
            "bf16_layers": self._bf16_layers,
        }

    def step(self, step: int, x: torch.Tensor) -> torch.Tensor:
        """One optimiser step; NMSE of the reconstruction, without waiting for the device.

        Args:
            step: Its number, as if all epochs before had been on data of the present size: so the learning rate
                depends on the share of epochs done, also where the data changes between them.
            x: The batch.
        """
        settings = self.config.training
        share = warmup_then_cosine(step, self._epoch_steps * settings.max_epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * share
        self.optimizer.zero_grad(set_to_none=True)
        recon_loss = self._backward(self._network, x)
        nn.utils.clip_grad_norm_(self.model.parameters(), settings.gradient_clip)
        self.optimizer.step()
        return recon_loss

    def _trained_network(self) -> Callable[[torch.Tensor], Any]:
        """The model as training calls it: over all ranks, and compiled if asked for. Validation calls it plain."""
        network: nn.Module = self.model
        if self.world_size > 1:
            # Quantizers sum their statistics over the ranks; only batch normalisation leaves its own to each.
            network = DistributedDataParallel(network, broadcast_buffers=self.config.model.norm == "batch")
        if not self.config.training.compile:
            return network
        return compiled_where_right(network, self.model, self._rank_batch, self._backward)

    def _batches(self) -> Iterator[torch.Tensor]:
        return batches(
            self.dataset.train,
            self._rank_batch,
            seed=self.config.training.seed,
            epoch=self.epoch,
            rank=self.rank,
            world_size=self.world_size,
            pin_memory=self.device.type == "cuda",
        )

    def _backward(self, network: Callable[[torch.Tensor], Any], x: torch.Tensor) -> torch.Tensor:
        """Add the gradients of a batch; NMSE of its reconstruction."""
        recon_loss: torch.Tensor
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16_layers > 0):
            recon_loss, x_recon, vq_output = network(x)
        loss = reconstruction_loss(x_recon, x, self.config.training.loss, self.model.data_variance)
        (loss + vq_output["commitment_loss"]).backward()
        return recon_loss.detach()


def _model(config: RunConfig, dataset: Dataset) -> NDimVQVAE:
    return build_model(config.model, dataset.train.shape, dataset.mean, dataset.variance)


def warmup_then_cosine(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: a short linear warm-up, then half a cosine down to a tenth.

    It depends on the step alone, so that the trials of a search compare at every epoch.

    Args:
        step: The step, counted from 0.
        steps: Steps of the whole training.

    Example:
        >>> [round(warmup_then_cosine(step, 100), 2) for step in (0, 4, 50, 99)]
        [0.2, 1.0, 0.59, 0.1]
    """
    warmup = max(1, round(steps * WARMUP_SHARE))
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * progress))
