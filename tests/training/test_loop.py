import copy
import math
import time

import numpy as np
import pytest
import torch

from ndvq_tune.config import AttentionConfig, LossConfig, QuantizerConfig, ScheduleConfig
from ndvq_tune.data.batches.loader import batches
from ndvq_tune.metrics import METRICS
from ndvq_tune.model.layers import Pointwise
from ndvq_tune.training import fast_paths, loop
from ndvq_tune.training.checkpoint import pack, unpack
from ndvq_tune.training.loop import Training
from ndvq_tune.training.losses import reconstruction_loss
from ndvq_tune.training.schedules import learning_rate_share
from tests.training.faulty_kernels import FAULTS, FaultyConvolutions, small_strided_in_bf16
from tests.training.training_examples import config, dataset, floats, timeless


def fit(**settings) -> list[dict[str, float]]:
    reports: list[dict[str, float]] = []
    Training(config(**settings), dataset()).fit(reports.append)
    return reports


def test_a_report_an_epoch_with_every_metric():
    reports = fit(max_epochs=3)
    assert [report["epoch"] for report in reports] == [1, 2, 3]
    for report in reports:
        assert set(report) == {"epoch", *METRICS} - {"ssim", "ms_ssim"}  # which have to be asked for
        assert all(math.isfinite(value) for value in report.values())


def test_a_report_says_how_busy_the_threads_were():
    training = Training(config(), dataset())
    before = time.process_time()
    report = training.run_epoch()
    busy = report["worker_cpu_utilization"] * report["training_seconds"] * torch.get_num_threads()
    assert busy == pytest.approx(time.process_time() - before, rel=0.1, abs=0.05)


def test_on_a_cpu_the_peak_is_that_of_the_process():
    report = Training(config(), dataset()).run_epoch()
    assert report["peak_memory_bytes"] == report["host_memory_bytes"] > 0


def test_training_learns_a_few_clips():
    few = dataset(train=4)
    reports: list[dict[str, float]] = []
    Training(config(max_epochs=60, batch_size=4, learning_rate=5e-2), few).fit(reports.append)
    assert reports[-1]["train_recon_loss"] < 0.3 * reports[0]["train_recon_loss"]
    assert reports[-1]["train_recon_loss"] < 0.5


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    first, again, other = ([timeless(report) for report in fit(max_epochs=2, seed=seed)] for seed in (3, 3, 4))
    assert first == again
    assert first[0]["recon_loss"] != other[0]["recon_loss"]


def test_training_loss_is_the_mean_over_the_epochs_samples():
    training = Training(config(max_epochs=1), dataset())
    losses = []
    training.model.register_forward_hook(
        lambda module, _, output: losses.append(output[0].item()) if module.training else None
    )
    report = training.run_epoch()
    assert report["train_recon_loss"] == pytest.approx(np.mean(losses), rel=1e-6)


def test_a_step_trains_on_the_augmented_batch():
    data = dataset()
    plain = config({"quantizer": QuantizerConfig(type="fsq"), "attention": AttentionConfig()})  # nothing drawn
    flipping = plain.model_copy(
        update={"data": plain.data.model_copy(update={"augment": {"RandomHorizontalFlip": {"p": 1.0}}})}
    )
    x = floats(data.train)[:4]
    losses = []
    for settings, batch in ((flipping, x), (plain, x.flip(-1)), (plain, x)):
        training = Training(settings, data)
        losses.append([training.step(step, batch).item() for step in range(3)])
    assert losses[0] == losses[1] != losses[2]


def test_learning_rate_reported_is_that_of_the_last_step():
    reports = fit(max_epochs=3, learning_rate=2e-3)  # 16 clips in batches of 4: 4 steps an epoch, 12 in all
    expected = [2e-3 * learning_rate_share(step, 12, ScheduleConfig()) for step in (3, 7, 11)]
    assert [report["learning_rate"] for report in reports] == pytest.approx(expected)


def test_the_learning_rate_follows_the_share_of_epochs_where_the_data_changes_size():
    """24 clips after 16: the third epoch of four begins half way, whatever its steps."""
    settings = config(max_epochs=4, learning_rate=2e-3)
    before, after = Training(settings, dataset(16)), Training(settings, dataset(24))
    for _ in range(2):
        before.run_epoch()
    unpack(after, pack(before))
    rates = []
    after.model.register_forward_hook(
        lambda module, *_: rates.append(after.optimizers[0].param_groups[0]["lr"]) if module.training else None
    )
    reports: list[dict[str, float]] = []
    after.fit(reports.append)
    expected = [2e-3 * learning_rate_share(step, 24, ScheduleConfig()) for step in range(12, 24)]
    assert rates == pytest.approx(expected)
    assert [report["epoch"] for report in reports] == [3, 4]


def test_samples_and_seconds_add_up_over_epochs():
    reports = fit(max_epochs=3)
    assert [report["samples_seen"] for report in reports] == [16, 32, 48]
    seconds = [report["training_seconds"] for report in reports]
    training = [16 / report["samples_per_second"] for report in reports]
    assert all(later - earlier > spent for earlier, later, spent in zip([0, *seconds], seconds, training, strict=False))
    assert {report["fidelity"] for report in reports} == {1.0}


def test_gradients_are_clipped_at_the_given_norm(monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_

    def noting(parameters, limit):
        parameters = list(parameters)
        clip(parameters, limit)
        norms.append(math.sqrt(sum(p.grad.double().square().sum().item() for p in parameters if p.grad is not None)))

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", noting)
    fit(max_epochs=1, gradient_clip=0.01)
    assert norms == pytest.approx([0.01] * 4, rel=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_parts_of_a_batch_one_after_the_other_add_up_to_its_gradients(optimizer):
    """Where nothing depends on who else is in the batch: a quantizer without statistics, and no dropout."""
    model = {"quantizer": {"type": "fsq"}, "attention": {"type": "none"}}
    reports, weights = [], []
    for parts in (1, 2, 3):  # of four samples
        training = Training(config(model, optimizer=optimizer, gradient_accumulation=parts), dataset())
        reports.append(training.run_epoch()["train_recon_loss"])
        weights.append(torch.cat([weight.detach().flatten() for weight in training.model.parameters()]))
    assert reports[1:] == pytest.approx([reports[0]] * 2, rel=1e-4)
    assert all(torch.allclose(other, weights[0], atol=2e-4) for other in weights[1:])


@pytest.mark.parametrize(
    ("batch_size", "world_size", "rank_batch", "steps"), [(8, 2, 4, 2), (8, 4, 2, 2), (6, 4, 1, 4), (2, 4, 1, 4)]
)
def test_ranks_share_the_batch(monkeypatch, batch_size, world_size, rank_batch, steps):
    """``batch_size`` is that of all workers together, and never less than one sample each."""
    monkeypatch.setattr(loop, "DistributedDataParallel", lambda model, **_: model)
    training = Training(config(batch_size=batch_size, max_epochs=2), dataset(), rank=1, world_size=world_size)
    sizes = []
    training.model.register_forward_pre_hook(
        lambda module, args: sizes.append(len(args[0])) if module.training else None
    )
    report = training.run_epoch()
    assert sizes == [rank_batch] * steps
    assert report["samples_seen"] == rank_batch * steps * world_size
    assert training.optimizers[0].param_groups[0]["lr"] == pytest.approx(
        3e-3 * learning_rate_share(steps - 1, 2 * steps, ScheduleConfig())
    )


def test_ranks_start_from_the_same_weights_and_drop_out_differently(monkeypatch):
    monkeypatch.setattr(loop, "DistributedDataParallel", lambda model, **_: model)
    weights, draws = [], []
    for rank in range(2):
        training = Training(config(), dataset(), rank=rank, world_size=2)
        weights.append(torch.cat([parameter.flatten() for parameter in training.model.parameters()]))
        draws.append(torch.rand(4))
    assert torch.equal(*weights)
    assert not torch.equal(*draws)


def test_a_finished_training_trains_no_further():
    training = Training(config(max_epochs=1), dataset())
    assert not training.finished
    reports: list[dict[str, float]] = []
    training.fit(reports.append)
    training.fit(reports.append)
    assert training.finished
    assert len(reports) == 1


def test_a_step_minimises_the_configured_loss():
    """One step by hand, from the same weights on the same batch."""
    loss = {"type": "smooth_l1", "recon_loss_factor": 3.0, "ssim_weight": 0.5}
    training = Training(
        config({"attention": {"type": "none"}}, max_epochs=1, batch_size=16, loss=loss, optimizer="adam"), dataset()
    )
    model = copy.deepcopy(training.model)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3, betas=(0.9, 0.95))
    (batch,) = batches(training.dataset.train, 16, seed=0)
    x = training.dataset.train.scale.to_unit(batch, torch.device("cpu"))
    torch.manual_seed(0)
    _, x_recon, vq_output = model(x)
    (reconstruction_loss(x_recon, x, LossConfig(**loss), model.data_variance) + vq_output["commitment_loss"]).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

    torch.manual_seed(0)
    training.run_epoch()
    for ours, expected in zip(training.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.fixture
def bf16_anywhere(monkeypatch) -> None:
    """Processors without instructions for bf16 compute in it, too, only slower."""
    monkeypatch.setattr(fast_paths, "has_bf16", lambda device: True)


@pytest.mark.usefixtures("bf16_anywhere")
@pytest.mark.parametrize(("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_is_that_of_training_and_validation_is_always_in_fp32(precision, expected):
    """Seen at the linear maps: convolutions may be left to fp32 where a processor gets them wrong in bf16."""
    training = Training(config(precision=precision, max_epochs=1), dataset())
    dtypes = {True: set(), False: set()}
    for module in training.model.modules():
        if type(module) is Pointwise:
            module.register_forward_hook(lambda module, _, output: dtypes[module.training].add(output.dtype))
    report = training.run_epoch()
    assert math.isfinite(report["recon_loss"])
    assert dtypes == {True: {expected}, False: {torch.float32}}
    assert (report["bf16_layers"] > 0) is (precision == "bf16")


@pytest.mark.usefixtures("bf16_anywhere")
def test_bf16_learns_as_fp32_does():
    losses = [fit(max_epochs=8, precision=precision)[-1]["recon_loss"] for precision in ("fp32", "bf16")]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


@pytest.mark.usefixtures("bf16_anywhere")
@pytest.mark.parametrize("fault", ["nan", "plausible"])
def test_bf16_learns_as_fp32_does_also_where_a_processor_gets_gradients_wrong(fault):
    expected = fit(max_epochs=8)[-1]
    with FaultyConvolutions("weight", FAULTS[fault], small_strided_in_bf16) as faulty:
        report = fit(max_epochs=8, precision="bf16")[-1]
    assert faulty.count > 0
    assert 0 < report["bf16_layers"] < 1
    assert report["recon_loss"] == pytest.approx(expected["recon_loss"], rel=0.1)


@pytest.mark.usefixtures("bf16_anywhere")
def test_without_the_check_such_gradients_would_be_trained_on(monkeypatch):
    monkeypatch.setattr(loop, "keep_right_layers_fast", lambda model, batch_size, bf16: float(bf16))
    with FaultyConvolutions("weight", FAULTS["nan"], small_strided_in_bf16):
        assert math.isnan(fit(max_epochs=1, precision="bf16")[-1]["recon_loss"])


def test_bf16_is_fp32_where_the_processor_has_no_instructions_for_it(monkeypatch):
    monkeypatch.setattr(fast_paths, "has_bf16", lambda device: False)
    bf16, fp32 = (list(map(timeless, fit(max_epochs=2, precision=precision))) for precision in ("bf16", "fp32"))
    assert bf16 == fp32


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of torch.compile about itself
def test_compiled_training_is_the_same_training():
    model = {"attention": {"type": "none"}, "n_res_layers": 0}
    plain, compiled = (Training(config(model, max_epochs=1, compile=on), dataset()).run_epoch() for on in (False, True))
    assert compiled["recon_loss"] == pytest.approx(plain["recon_loss"], rel=1e-2)
