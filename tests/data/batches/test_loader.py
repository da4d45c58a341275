import threading
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndvq_tune.data.batches.loader import batches, batches_per_epoch
from ndvq_tune.data.batches.samples import SampleSet, Scale, Window

sizes = st.tuples(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5))
seeds = st.integers(0, 2**31)


def numbered(n: int) -> SampleSet:
    """Samples of one pixel, whose value is the sample's number."""
    return SampleSet([np.arange(n, dtype=np.uint8)[:, None, None, None]], Window(), Scale(0, 255))


def order(n: int, batch_size: int, **kwargs: int) -> list[list[int]]:
    return [batch.flatten().tolist() for batch in batches(numbered(n), batch_size, **kwargs)]


@given(sizes)
def test_evaluation_sees_each_sample_exactly_once_over_all_ranks(size: tuple[int, int, int]) -> None:
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


def test_samples_left_out_of_one_epoch_come_in_another() -> None:
    seen = {sample for epoch in range(8) for batch in order(11, 8, seed=0, epoch=epoch) for sample in batch}
    assert seen == set(range(11))


@pytest.mark.parametrize(("n", "batch_size", "world_size", "expected"), [(22, 8, 1, 2), (22, 8, 2, 1), (3, 8, 1, 1)])
def test_batches_per_epoch(n: int, batch_size: int, world_size: int, expected: int) -> None:
    assert batches_per_epoch(n, batch_size, world_size) == expected


def frames() -> SampleSet:
    """Frames twice as wide as a sample; every pixel tells its column."""
    columns = np.arange(16, dtype=np.uint8)[None, None, :, None]
    return SampleSet([np.broadcast_to(columns, (40, 8, 16, 1))], Window(crop=8), Scale(0, 255))


def lefts(batch_size: int = 8, **kwargs: int) -> list[int]:
    return [left for batch in batches(frames(), batch_size, **kwargs) for left in batch[:, 0, 0, 0].tolist()]


def test_training_crops_are_drawn_anew_every_epoch_and_repeat_with_the_seed() -> None:
    assert lefts(seed=0) == lefts(seed=0) != lefts(seed=0, epoch=1) != lefts(seed=1, epoch=1)
    assert len(set(lefts(seed=0))) > 4


def test_evaluation_crops_at_the_centre() -> None:
    assert set(lefts()) == {4}


def test_a_sample_is_cropped_alike_however_many_ranks_share_the_data() -> None:
    alone = sorted(lefts(16, seed=3))
    shared = sorted(left for rank in range(2) for left in lefts(seed=3, rank=rank, world_size=2))
    assert alone == shared


def test_batches_are_read_ahead_by_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[str] = []
    read = SampleSet.read

    def recorded(*args, **kwargs):
        readers.append(threading.current_thread().name)
        return read(*args, **kwargs)

    monkeypatch.setattr(SampleSet, "read", recorded)
    passing = batches(numbered(20), 2)
    assert next(passing).flatten().tolist() == [0, 1]
    assert all(name.startswith("batches") for name in readers)
    assert sum(1 for _ in passing) == 9
    assert len(readers) == 10


def test_a_pass_that_is_given_up_ends_its_thread() -> None:
    passing = batches(numbered(20), 2)
    next(passing)
    passing.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_an_error_of_the_reader_reaches_the_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args, **kwargs):
        raise OSError("the disk is gone")

    monkeypatch.setattr(SampleSet, "read", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches(numbered(4), 2))
