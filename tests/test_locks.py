from pathlib import Path

import pytest

from ndvq_tune.locks import try_lock


def test_a_lock_is_held_by_one_until_it_is_given_back(tmp_path: Path) -> None:
    lock = try_lock(tmp_path / ".lock")
    assert lock is not None
    with lock:
        assert try_lock(tmp_path / ".lock") is None
    assert try_lock(tmp_path / ".lock") is not None


def test_an_error_gives_the_lock_back(tmp_path: Path) -> None:
    lock = try_lock(tmp_path / ".lock")
    assert lock is not None
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert try_lock(tmp_path / ".lock") is not None


def test_where_no_lock_can_be_written_is_not_where_one_is_held(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        try_lock(tmp_path / "file" / ".lock")
