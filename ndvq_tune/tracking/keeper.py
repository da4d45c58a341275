"""Runs a command for as long as its standard input is open.

Whoever starts this holds the other end. So the command ends with them, however they end, also where they cannot say so;
and nobody's Ctrl-C reaches it before.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

NICENESS = 5  # whatever else this machine does comes first
PATIENCE = 5.0  # seconds to end in


def main(command: list[str]) -> int:
    """Run a command; its exit code.

    Args:
        command: The program and its arguments.
    """
    os.nice(NICENESS)
    kept = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_end_with_input, args=(kept,), daemon=True).start()
    return kept.wait()


def _end_with_input(kept: "subprocess.Popen[bytes]") -> None:
    while os.read(sys.stdin.fileno(), 1):  # not sys.stdin.read: it locks what Python closes when the command has ended
        pass
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(kept.pid, number)  # what it has started, too
        with suppress(subprocess.TimeoutExpired):
            kept.wait(PATIENCE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
