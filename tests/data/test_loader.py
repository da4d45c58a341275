from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndvq_tune.data.cache import CachedVideo
from ndvq_tune.data.clips import ClipSet
from ndvq_tune.data.loader import batches, batches_per_epoch

sizes = st.tuples(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5))
seeds = st.integers(0, 2**31)


def numbered(n: int) -> ClipSet:
    """Clips of one frame of one pixel, whose value is the clip's number."""
    return ClipSet(np.arange(n, dtype=np.uint8)[:, None, None, None], [CachedVideo("a", 0, n, 0, 0)], 1, 1)


def order(n: int, batch_size: int, **kwargs: int) -> list[list[int]]:
    return [batch.flatten().tolist() for batch in batches(numbered(n), batch_size, **kwargs)]


@given(sizes)
def test_evaluation_sees_each_clip_exactly_once_over_all_ranks(size: tuple[int, int, int]) -> None:
    n, batch_size, world_size = size
    shares = [order(n, batch_size, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert sorted(chain.from_iterable(chain.from_iterable(shares))) == list(range(n))
    for share in shares:
        assert all(len(batch) == batch_size for batch in share[:-1])
        assert all(batch == sorted(batch) and batch for batch in share)


@given(sizes, seeds, st.integers(0, 100))
def test_training_ranks_take_equal_shares_of_what_one_rank_would_see(
    size: tuple[int, int, int], seed: int, epoch: int
) -> None:
    n, batch_size, world_size = size
    shares = [order(n, batch_size, seed=seed, epoch=epoch, rank=r, world_size=world_size) for r in range(world_size)]
    assert {len(share) for share in shares} == {batches_per_epoch(n, batch_size, world_size)}
    assert len({len(batch) for share in shares for batch in share}) == 1

    together = [sorted(chain.from_iterable(step)) for step in zip(*shares, strict=True)]
    if n >= batch_size * world_size:
        alone = order(n, batch_size * world_size, seed=seed, epoch=epoch)
        assert together == [sorted(step) for step in alone]
        seen = list(chain.from_iterable(together))
        assert len(seen) == len(set(seen)) > n - batch_size * world_size
    else:
        assert set(together[0]) == set(range(n))
        assert len(together[0]) < n + world_size


def test_training_order_follows_seed_and_epoch() -> None:
    assert order(50, 10, seed=1, epoch=2) == order(50, 10, seed=1, epoch=2)
    assert len({str(order(50, 10, seed=seed, epoch=epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_clips_left_out_of_one_epoch_come_in_another() -> None:
    seen = {clip for epoch in range(8) for batch in order(11, 8, seed=0, epoch=epoch) for clip in batch}
    assert seen == set(range(11))


@pytest.mark.parametrize(("n", "batch_size", "world_size", "expected"), [(22, 8, 1, 2), (22, 8, 2, 1), (3, 8, 1, 1)])
def test_batches_per_epoch(n: int, batch_size: int, world_size: int, expected: int) -> None:
    assert batches_per_epoch(n, batch_size, world_size) == expected
