"""Training one model, epoch by epoch. Plain torch: it runs in a notebook, or on many ranks under DDP."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
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
from ndvq_tune.training.image_quality import check_fit
from ndvq_tune.training.losses import reconstruction_loss
from ndvq_tune.training.memory import peak_bytes, reset_peak
from ndvq_tune.training.optimizers import optimizers, set_learning_rates
from ndvq_tune.training.schedules import learning_rate_share


class Training:
    """A model with its data and optimiser, as far as it has been trained.

    ``epoch``, ``samples_seen`` and ``seconds`` say how far: epochs done, training samples of all ranks together, and
    time in training and validation. ``sample_losses`` and ``code_counts`` are those of the last ``Validation``, none
    before.

    Args:
        config: The complete configuration.
        dataset: The data that ``config.data`` describes.
        device: Where to train.
        rank: This rank, in an initialised ``torch.distributed`` group if there are several.
        world_size: How many ranks train this model together.

    Raises:
        ShapeError: If the samples do not fit the model, or a metric that is asked for.

    Example:
        On images of noise; those of a folder are ``open_dataset(config.data)``.

        >>> from ndvq_tune.data.batches.samples import SampleSet, Scale, Window
        >>> samples = SampleSet([torch.rand(8, 16, 16, 1).numpy()], Window(), Scale(0, 1))
        >>> dataset = Dataset(samples, samples, mean=0.5, variance=1 / 12, pooled_variance=1 / 12, skipped={}, files=1)
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
        self.sample_losses, self.code_counts = torch.zeros(0), torch.zeros(0, 0, dtype=torch.int64)
        settings = config.training
        check_fit(settings.validation_metrics, dataset.test.shape)
        self._rank_batch = max(1, settings.batch_size // world_size)
        self._part = math.ceil(self._rank_batch / settings.gradient_accumulation)
        self._epoch_steps = batches_per_epoch(len(dataset.train), self._rank_batch, world_size)
        torch.manual_seed(settings.seed)
        reset_peak(self.device)
        self.model = _model(config, dataset).to(self.device)
        self._bf16_layers = keep_right_layers_fast(self.model, self._part, bf16=settings.precision == "bf16")
        self.optimizers = optimizers(self.model.parameters(), settings)
        self._network = self._trained_network()
        self._augment = augmentation(config.data)
        # Weights were drawn alike on all ranks; dropout and changes of samples are each rank's own from here on.
        torch.manual_seed(settings.seed + rank)

    @property
    def steps(self) -> int:
        """Steps of the whole training, as if all of it were on data of the present size."""
        return self._epoch_steps * self.config.training.max_epochs

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
            ``epoch``, counted from 1, every metric of ``ndvq_tune.metrics``, and ``recon_loss_NAME`` of each channel
            that has a name; those that have to be asked for only if ``training.validation_metrics`` does.
        """
        self.model.train()
        start, computed = time.perf_counter(), time.process_time()
        samples, recon_loss = 0, torch.zeros((), device=self.device)
        for step, batch in enumerate(self._batches(), start=self.epoch * self._epoch_steps):
            x = self.dataset.train.scale.to_unit(batch, self.device)
            recon_loss += self.step(step, x) * len(batch)
            samples += len(batch)
        train_recon_loss = recon_loss.item() / samples
        seconds = time.perf_counter() - start
        self.epoch += 1
        self.samples_seen += samples * self.world_size
        validation = self.validate()
        whole, host = time.perf_counter() - start, peak_bytes(torch.device("cpu"))
        self.seconds += whole
        return {
            "epoch": self.epoch,
            **validation,
            "train_recon_loss": train_recon_loss,
            "learning_rate": self.optimizers[0].param_groups[0]["lr"],
            "samples_per_second": samples * self.world_size / seconds,
            "peak_memory_bytes": peak_bytes(self.device) if self.device.type == "cuda" else host,
            "host_memory_bytes": host,
            "worker_cpu_utilization": (time.process_time() - computed) / whole / torch.get_num_threads(),
            "samples_seen": float(self.samples_seen),
            "training_seconds": self.seconds,
            "fidelity": 1.0,
            "bf16_layers": self._bf16_layers,
        }

    def validate(self) -> dict[str, float]:
        """The metrics of the model as it is, see ``evaluate``; all ranks take part."""
        settings = self.config.training
        metrics, self.sample_losses, self.code_counts = evaluate(
            self.model, self.dataset, settings.batch_size, self.rank, self.world_size, settings.validation_metrics
        )
        return metrics

    def step(self, step: int, x: torch.Tensor) -> torch.Tensor:
        """One optimiser step; NMSE of the reconstruction, without waiting for the device.

        Args:
            step: Its number, as if all epochs before had been on data of the present size: so the learning rate
                depends on the share of epochs done, also where the data changes between them.
            x: The batch, which is augmented here.
        """
        settings = self.config.training
        set_learning_rates(self.optimizers, learning_rate_share(step, self.steps, settings.schedule))
        self.model.zero_grad(set_to_none=True)
        recon_loss = self._accumulated(self._augment(x) if self._augment else x)
        nn.utils.clip_grad_norm_(self.model.parameters(), settings.gradient_clip)
        for optimizer in self.optimizers:
            optimizer.step()
        return recon_loss

    def _accumulated(self, x: torch.Tensor) -> torch.Tensor:
        """The gradients of a batch, part by part; NMSE of its reconstruction."""
        recon_loss = torch.zeros((), device=self.device)
        *others, last = torch.split(x, self._part)
        with getattr(self._network, "no_sync", nullcontext)():  # ranks add their gradients with the last part
            for part in others:
                recon_loss += self._backward(self._network, part, len(part) / len(x))
        return recon_loss + self._backward(self._network, last, len(last) / len(x))

    def _trained_network(self) -> Callable[[torch.Tensor], Any]:
        """The model as training calls it: over all ranks, and compiled if asked for. Validation calls it plain."""
        network: nn.Module = self.model
        if self.world_size > 1:
            # Quantizers sum their statistics over the ranks; only batch normalisation leaves its own to each.
            network = DistributedDataParallel(network, broadcast_buffers=self.config.model.norm == "batch")
        if not self.config.training.compile:
            return network
        return compiled_where_right(network, self.model, self._part, self._backward)

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

    def _backward(self, network: Callable[[torch.Tensor], Any], x: torch.Tensor, share: float = 1.0) -> torch.Tensor:
        """Add the gradients of a share of a batch; its share of the NMSE of the reconstruction."""
        recon_loss: torch.Tensor
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16_layers > 0):
            recon_loss, x_recon, vq_output = network(x)
        loss = reconstruction_loss(x_recon, x, self.config.training.loss, self.model.data_variance)
        ((loss + vq_output["commitment_loss"]) * share).backward()
        return recon_loss.detach() * share


def _model(config: RunConfig, dataset: Dataset) -> NDimVQVAE:
    model = build_model(config.model, dataset.train.shape, dataset.mean, dataset.variance)
    model.data = dataset.card
    return model
