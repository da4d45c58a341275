from pathlib import Path

import pytest
import torch

from ndvq_tune.training import memory
from ndvq_tune.training.loop import Training
from ndvq_tune.training.memory import peak_bytes, reset_peak
from tests.training.training_examples import config, dataset

CPU = torch.device("cpu")
MIB = 2**20

linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")


@linux
def test_the_peak_keeps_what_is_gone_until_it_is_reset():
    reset_peak(CPU)
    before = peak_bytes(CPU)
    block = b"x" * (200 * MIB)
    del block
    after = peak_bytes(CPU)
    assert 190 * MIB < after - before < 230 * MIB
    reset_peak(CPU)
    assert peak_bytes(CPU) < after - 150 * MIB


@linux
def test_a_training_does_not_inherit_the_peak_of_the_one_before():
    reset_peak(CPU)
    block = b"x" * (600 * MIB)
    del block
    high = peak_bytes(CPU)
    assert Training(config(max_epochs=1), dataset(train=4, test=2)).run_epoch()["peak_memory_bytes"] < high - 300 * MIB


def test_a_system_that_forbids_the_reset_does_not_stop_training(monkeypatch, tmp_path):
    """Some containers mount ``/proc`` read-only; a folder refuses to be written as such a file does."""
    monkeypatch.setattr(memory, "_CLEAR", tmp_path)
    reset_peak(CPU)
    assert peak_bytes(CPU) > 0


def test_without_proc_the_peak_is_that_of_the_process(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "clear_refs")
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "status")
    reset_peak(CPU)
    assert 30 * MIB < peak_bytes(CPU) < 100_000 * MIB
