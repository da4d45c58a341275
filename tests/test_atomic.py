import os
import time
from pathlib import Path

import pytest

from ndvq_tune.atomic import whole_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "parent" / "target"
    with whole_folder(target) as building:
        (building / "file").write_text("content")
        assert not target.exists()
    assert (target / "file").read_text() == "content"
    assert names(tmp_path / "parent") == ["target"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_after_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), whole_folder(tmp_path / "target") as building:  # noqa: PT012
        (building / "file").write_text("content")
        raise error
    assert names(tmp_path) == []


def test_folder_of_a_faster_process_stays(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "target") as slow:
        (slow / "file").write_text("slow")
        with whole_folder(tmp_path / "target") as fast:
            (fast / "file").write_text("fast")
    assert (tmp_path / "target" / "file").read_text() == "fast"
    assert names(tmp_path) == ["target"]


def test_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("a file")
    with pytest.raises(OSError), whole_folder(tmp_path / "target"):  # noqa: PT011
        pass
    assert names(tmp_path) == ["target"]


def test_leftovers_of_killed_processes_go_after_a_day(tmp_path: Path) -> None:
    old, young = tmp_path / ".target.old", tmp_path / ".target.young"
    for left in (old, young):
        left.mkdir()
        (left / "file").write_text("content")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    with whole_folder(tmp_path / "target"):
        pass
    assert names(tmp_path) == [".target.young", "target"]
