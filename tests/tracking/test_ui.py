import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from ndvq_tune.tracking import ui
from ndvq_tune.tracking.client import Store, connect
from ndvq_tune.tracking.ui import PORT, Ui, free_port
from tests.end_to_end.workplace import answers, wait_for

KEEPER = [sys.executable, "-m", "ndvq_tune.tracking.keeper"]


def alive(process_id: int) -> bool:
    """Whether a process runs; one that has ended and waits to be asked about it does not."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@contextmanager
def kept(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", list[int]]]:
    """A keeper of a shell that has a child, and the ids of these two."""
    script = f"sleep 600 & echo $$ $! > {folder}/ids.part; mv {folder}/ids.part {folder}/ids; wait"
    with subprocess.Popen([*KEEPER, "sh", "-c", script], stdin=subprocess.PIPE, start_new_session=True) as keeper:
        wait_for((folder / "ids").exists)
        yield keeper, [int(word) for word in (folder / "ids").read_text().split()]


def test_what_is_kept_ends_with_its_children_when_the_input_is_closed(tmp_path: Path) -> None:
    with kept(tmp_path) as (keeper, ids):
        assert all(map(alive, ids))
        keeper.stdin.close()
        keeper.wait(30)
        wait_for(lambda: not any(map(alive, ids)))


def test_what_is_kept_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/ids.part; mv {tmp_path}/ids.part {tmp_path}/ids; wait"
    start = f"import subprocess; subprocess.Popen({[*KEEPER, 'sh', '-c', script]}, stdin=subprocess.PIPE).wait()"
    with subprocess.Popen([sys.executable, "-c", start]) as starter:
        wait_for((tmp_path / "ids").exists)
        child = int((tmp_path / "ids").read_text())
        assert alive(child)
        starter.kill()
    wait_for(lambda: not alive(child))


def test_a_keeper_ends_as_what_it_keeps() -> None:
    with subprocess.Popen([*KEEPER, "sh", "-c", "exit 7"], stdin=subprocess.PIPE) as keeper:
        assert keeper.wait(60) == 7  # its input is still open


def test_the_port_is_the_expected_one_or_another_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(ui, "PORT", taken.getsockname()[1])
        found = free_port()
        assert found != ui.PORT
    assert PORT == 5000
    with socket.create_server(("127.0.0.1", found)) as free:  # it can be taken
        monkeypatch.setattr(ui, "_PORTS_TRIED", 1)
        monkeypatch.setattr(ui, "PORT", free.getsockname()[1])
        assert free_port() > 0


def test_a_server_needs_no_other_one_in_front() -> None:
    told: list[str] = []
    with closing(Ui(told.append)) as pages:
        store = Store("http://somewhere:5000", None, "1")
        assert pages.serve(store) is store
        assert not pages.running
        pages.wait()
    assert told == []


def test_a_server_that_cannot_be_started_is_told_of_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("no more processes")

    told: list[str] = []
    monkeypatch.setattr(ui, "_started", fails)
    with closing(Ui(told.append)) as pages:
        store = Store("sqlite:///x.db", None, "1")
        assert pages.serve(store) is store
    assert told == ["its pages cannot be served (no more processes)"]


def test_a_server_that_ends_by_itself_is_told_of_with_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    command = ["sh", "-c", "echo one; echo the port is taken; echo"]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    monkeypatch.setattr(ui, "_started", lambda *_: started)
    with closing(Ui(told.append)) as pages:
        pages.serve(Store("sqlite:///x.db", None, "1"))
        pages.wait()
        wait_for(lambda: bool(told), 10)
        assert not pages.running
    assert told == ["its pages are no longer served (the port is taken)"]


@pytest.mark.slow
def test_a_store_is_served_until_it_is_closed(uri: str) -> None:
    told: list[str] = []
    with closing(Ui(told.append)) as pages:
        served = pages.serve(connect(uri, "c"))
        wait_for(lambda: answers(served.server))
        experiments = f"{served.server}/api/2.0/mlflow/experiments/get-by-name?experiment_name=c"
        with urlopen(experiments, timeout=10) as answer:
            assert served.experiment_id in answer.read().decode()
        members = group_of(pages._server.pid)
        assert len(members) >= 2
    wait_for(lambda: not any(map(alive, members)), 20)
    assert told == []


def group_of(keeper: int) -> list[int]:
    """A keeper's descendants."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [keeper]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found
