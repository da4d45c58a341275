from dataclasses import replace
from pathlib import Path

import pytest

from ndvq_tune.records import SearchRecord, TrialRecord
from ndvq_tune.search.results import keep_checkpoints
from ndvq_tune.training.checkpoint import pack
from ndvq_tune.training.files import CONFIG, write
from ndvq_tune.training.loop import Training
from tests.report.report_examples import goals, make_trial
from tests.training.training_examples import config, dataset


@pytest.fixture(scope="module")
def training() -> Training:
    training = Training(config(), dataset())
    training.run_epoch()
    return training


def ended(number: int, loss: float, folder: Path, training: Training) -> TrialRecord:
    """A trial with a checkpoint where Ray Tune puts it."""
    path = f"tune/trial-{number:04d}/checkpoint_000000"
    write(folder / path, pack(training))
    return make_trial(number, {"recon_loss": loss}, checkpoint=path, checkpoint_epoch=1)


def test_the_best_are_kept_with_what_they_say_of_each_test_sample(tmp_path: Path, training: Training) -> None:
    trials = tuple(ended(n, loss, tmp_path, training) for n, loss in enumerate((0.4, 0.1, 0.3, 0.2)))
    search = keep_checkpoints(SearchRecord("s", trials, goals("recon_loss")), tmp_path, final=True)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "trial-0001",
        "trial-0002",
        "trial-0003",
    ]
    assert search.trials[0].sample_losses == ()
    for trial in search.trials[1:]:
        assert trial.checkpoint == f"checkpoints/{trial.name}"
        assert trial.sample_losses == pytest.approx(training.sample_losses.tolist(), rel=1e-5)


def test_a_checkpoint_of_an_earlier_epoch_says_nothing_of_the_last_report(tmp_path: Path, training: Training) -> None:
    trial = ended(0, 0.1, tmp_path, training)
    later = make_trial(0, reports=(*trial.reports, {"epoch": 2, "seconds": 9.0, "recon_loss": 0.05}))
    behind = replace(later, checkpoint=trial.checkpoint, checkpoint_epoch=1)
    search = keep_checkpoints(SearchRecord("s", (behind,), goals("recon_loss")), tmp_path, final=True)
    assert search.trials[0].sample_losses == ()


@pytest.mark.parametrize(
    "content", [None, b"{", b'{"format": 1, "sample_losses": ["a"]}'], ids=["gone", "cut off", "text"]
)
def test_a_damaged_checkpoint_does_not_keep_a_search_from_its_end(
    tmp_path: Path, training: Training, content: bytes | None
) -> None:
    trial = ended(0, 0.1, tmp_path, training)
    description = tmp_path / str(trial.checkpoint) / CONFIG
    description.unlink() if content is None else description.write_bytes(content)
    search = keep_checkpoints(SearchRecord("s", (trial,), goals("recon_loss")), tmp_path, final=True)
    assert search.trials[0].sample_losses == ()
    assert search.trials[0].checkpoint == "checkpoints/trial-0000"
