"""The lane's side of Ray Train: a group of workers that outlives the trials it trains.

A trainer takes tens of seconds to start on a small machine, so a lane starts one and keeps it. Its workers connect
back over one socket each, ask nothing, and do what they are told: start a run, train an epoch, hand over a checkpoint.
Stopping a trial early is therefore a message, not a kill.
"""

import secrets
import threading
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener, wait
from typing import Any

import ray
from ray import train

from ndvq_tune.config import RunConfig
from ndvq_tune.errors import message_of
from ndvq_tune.goals import Report
from ndvq_tune.training.files import Files
from ndvq_tune.training.group import CLOSE, ERROR, GONE, Channel, GroupSize, RunError, WorkerGroupError
from ndvq_tune.training.ray_internals import lane_trainer

START_ATTEMPTS = 5  # without a limit workers that cannot start would keep a lane waiting for ever
CLOSE_SECONDS = 5.0


class WorkerGroup:
    """A living Ray Train worker group. The constructor returns at once; the first command waits for the workers."""

    def __init__(self, size: GroupSize) -> None:
        self._size = size
        self._key = secrets.token_bytes(32)
        address = (ray.util.get_node_ip_address(), 0)
        self._listener = Listener(address, backlog=max(1, size.workers), authkey=self._key)
        self._workers: list[Connection] = []
        self._reason = ""
        self._trainer = threading.Thread(target=self._fit, daemon=True)
        self._trainer.start()

    def start(self, run: RunConfig, checkpoint: Files | None = None) -> None:
        """Begin a run, from a checkpoint if one is given. The run before it, if any, is dropped."""
        self._command("start", run, checkpoint)

    def train(self) -> Report:
        """Train to the next report."""
        report: Report = self._command("train")
        return report

    def save(self) -> Files:
        """The run's state."""
        files: Files = self._command("save")
        return files

    def restart_codes(self) -> bool:
        """Let the run's next step take all codes anew from its batch; False if the codes are fixed."""
        possible: bool = self._command("restart_codes")
        return possible

    def close(self) -> None:
        """Let the workers return; the group ends."""
        for worker in self._workers:
            with suppress(OSError):  # it is gone already
                worker.send(CLOSE)
        self._listener.close()  # first: the trainer's thread would wait for an answer to its farewell
        self._trainer.join(timeout=CLOSE_SECONDS)

    def _command(self, name: str, *arguments: Any) -> Any:
        """Send a command to every worker; the answer of rank 0.

        Raises:
            RunError: If the run raised an error.
            WorkerGroupError: If a worker is gone, or if one of several failed and left the others waiting for it. The
                group has ended then.
        """
        try:
            if not self._workers:
                self._workers = self._accept()
            for worker in self._workers:
                worker.send((name, arguments))
            return self._answer()
        except (EOFError, OSError) as error:
            self.close()  # also waits for the trainer, who looks after its workers every two seconds and knows more
            what = f"a training process ended unexpectedly ({type(error).__name__})"
            raise WorkerGroupError(f"{what}: {self._reason}" if self._reason else what) from error

    def _answer(self) -> Any:
        """What rank 0 answers, as soon as all have answered."""
        answers: dict[int, Any] = {}
        waiting = dict(enumerate(self._workers))
        while waiting:
            ready = wait(waiting.values())
            for rank, worker in [(rank, worker) for rank, worker in waiting.items() if worker in ready]:
                status, answers[rank] = worker.recv()
                if status == ERROR:
                    raise RunError(answers[rank]) if len(self._workers) == 1 else WorkerGroupError(answers[rank])
                del waiting[rank]
        return answers[0]

    def _accept(self) -> list[Connection]:
        """Wait until every worker has connected, or the trainer says that none will."""
        connected: dict[int, Connection] = {}
        while len(connected) < max(1, self._size.workers):
            connection = self._listener.accept()
            status, value = connection.recv()
            if status == GONE:
                raise WorkerGroupError(f"the workers could not start: {value}")
            connected[value] = connection
        return [connected[rank] for rank in sorted(connected)]

    def _fit(self) -> None:
        """Run the trainer until its workers return; say so over the socket, in case someone waits for them."""
        address = self._listener.address
        channel = Channel(address, self._key, self._size.cpus, self._size.gpus)
        try:
            _trainer(self._size, channel).fit()
            self._reason = "the trainer ended"
        except Exception as error:  # whatever it is, the lane must hear of it instead of waiting for ever
            self._reason = _reason(error)
        try:
            with Client(address, authkey=self._key) as connection:
                connection.send((GONE, self._reason))
        except OSError:
            return  # the listener is closed: the group was ended on purpose


def _reason(error: Exception) -> str:
    """Why Ray Train gave up: the failure that its error wraps, whose own first line names no cause."""
    match error:
        case train.ControllerError():
            return message_of(error.controller_failure)
        case train.WorkerGroupError() if error.worker_failures:
            return message_of(next(iter(error.worker_failures.values())))
    return message_of(error)


def _trainer(size: GroupSize, channel: Channel) -> Any:
    resources = {"CPU": size.cpus_reserved} | ({"GPU": size.gpus} if size.gpus else {})
    scaling = train.ScalingConfig(
        num_workers=size.workers, use_gpu=size.gpus > 0, resources_per_worker=resources if size.workers else None
    )
    return lane_trainer(
        _serve,
        process_group=size.workers > 1,
        train_loop_config={"channel": channel},
        scaling_config=scaling,
        run_config=train.RunConfig(
            name=f"group-{secrets.token_hex(4)}",
            storage_path=size.storage,
            failure_config=train.FailureConfig(controller_failure_limit=START_ATTEMPTS),
        ),
    )


def _serve(settings: dict[str, Channel]) -> None:
    """What every worker runs. It alone imports torch, which a lane has no use for."""
    from ndvq_tune.training.worker import serve

    serve(settings["channel"])
