"""Two ranks learn the codebook that one rank learns from the whole batch."""

from pathlib import Path

import pytest
import torch
from torch import distributed as dist
from torch.multiprocessing.spawn import spawn
from torch.nn import functional as F  # noqa: N812

from ndvq_tune.model import EMACodebook
from ndvq_tune.model.quantizers import SimVQ
from tests.model.quantizers.quantizer_examples import codebook_of

STEPS = 6


def _batches() -> torch.Tensor:
    return torch.randn(STEPS, 8, 3, 20, generator=torch.Generator().manual_seed(7))


def _codebook(cosine: bool) -> EMACodebook:
    codes = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    return codebook_of(F.normalize(codes, dim=1) if cosine else codes, ema_decay=0.8, cosine=cosine)


def _learn(rank: int, folder: str, cosine: bool) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    known, fresh = _codebook(cosine), EMACodebook(16, 3, restart_threshold=0.5, cosine=cosine)
    restarted = [EMACodebook(16, 3, cosine=cosine), SimVQ(16, 3)]
    torch.manual_seed(rank)
    perplexities = []
    for batch in _batches():
        half = batch[rank::2]
        perplexities.append(known(half)["perplexity"])
        fresh(half)
        for quantizer in restarted:
            quantizer.restart()
            quantizer(half)
    state = {
        "known": known.state_dict(),
        "fresh": fresh.state_dict(),
        "restarted": [quantizer.state_dict() for quantizer in restarted],
        "perplexities": torch.stack(perplexities),
    }
    torch.save(state, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("cosine", [False, True])
def test_two_ranks_learn_as_one(tmp_path, cosine):
    spawn(_learn, args=(str(tmp_path), cosine), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))

    alone = _codebook(cosine)
    perplexities = torch.stack([alone(batch)["perplexity"] for batch in _batches()])
    for state in (first, second):
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(state["known"][name], value)
        torch.testing.assert_close(state["perplexities"], perplexities)

    # Initial codes and restarts are drawn at random, and must be the same everywhere.
    for ours, others in zip(
        [first["fresh"], *first["restarted"]], [second["fresh"], *second["restarted"]], strict=True
    ):
        for name, value in ours.items():
            assert torch.equal(others[name], value), name
