"""MLflow's own pages of a store, served on this machine while someone looks at them."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ndvq_tune.tracking.client import Store  # MLflow, which a server in its own process has for itself

HOST, PORT = "127.0.0.1", 5000
_PORTS_TRIED = 20
_END_WITHIN = 15.0


class Ui:
    """``mlflow server`` on loopback, from ``serve`` on until it is closed, or this process ends in any way.

    Args:
        tell: Is told in a line, maybe by another thread, where nothing can be served, or no longer.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._server: subprocess.Popen[str] | None = None
        self._closed = False

    @property
    def running(self) -> bool:
        """Whether there is a server."""
        return self._server is not None and self._server.poll() is None

    def serve(self, store: "Store") -> "Store":
        """Start a server, which answers some seconds later.

        Args:
            store: What it shows.

        Returns:
            The store with the server's address; unchanged where it is a server itself, or none can be started.
        """
        if store.uri.startswith("http"):
            return store
        try:
            port = free_port()
            self._server = _started(store.uri, port)
        except OSError as error:
            self._tell(f"its pages cannot be served ({error})")
            return store
        threading.Thread(target=self._watch, args=(self._server,), daemon=True).start()
        return replace(store, server=f"http://{HOST}:{port}")

    def wait(self) -> None:
        """Wait until the server ends, if there is one."""
        if self._server is not None:
            self._server.wait()

    def close(self) -> None:
        """End the server, if there is one."""
        self._closed = True
        if self._server is not None and self._server.stdin is not None:
            self._server.stdin.close()
            with suppress(subprocess.TimeoutExpired):  # it ends without us: its keeper kills in the end
                self._server.wait(_END_WITHIN)

    def _watch(self, server: "subprocess.Popen[str]") -> None:
        """Tell the last line of a server that has ended, if nobody has closed it."""
        last = ""
        with server:
            for line in server.stdout or ():
                last = line.strip() or last
        if not self._closed:
            self._tell(f"its pages are no longer served ({last or f'exit code {server.returncode}'})")


def free_port() -> int:
    """A port of loopback that nobody listens at: 5000, which people expect, one after it, or any other.

    Raises:
        OSError: If there is none.
    """
    for port in range(PORT, PORT + _PORTS_TRIED):
        with suppress(OSError), socket.create_server((HOST, port)):
            return port
    with socket.create_server((HOST, 0)) as found:
        return int(found.getsockname()[1])


def _started(uri: str, port: int) -> "subprocess.Popen[str]":
    """A server, kept until its input is closed; Ctrl-C does not reach it."""
    server = ["mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    settings = {
        "MLFLOW_BACKEND_STORE_URI": uri,  # not as an argument: it may have a password
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # more processes, for what is not used here
    }
    return subprocess.Popen(
        [sys.executable, "-m", "ndvq_tune.tracking.keeper", sys.executable, "-m", *server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | settings,
        start_new_session=True,
    )
