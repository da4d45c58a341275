from dataclasses import replace
from pathlib import Path

import pytest

from ndvq_tune.records import Role, SearchRecord, TrialRecord, TrialState
from ndvq_tune.search.checkpoints import keep_best, keep_checkpoints, located
from ndvq_tune.training.checkpoint import load_model, pack
from ndvq_tune.training.evaluation import evaluate
from ndvq_tune.training.files import CONFIG, write
from ndvq_tune.training.loop import Training
from tests.report.report_examples import goals, make_trial
from tests.training.training_examples import config, dataset


@pytest.fixture(scope="module")
def training() -> Training:
    training = Training(config(), dataset())
    training.run_epoch()
    return training


def report(epoch: int, loss: float) -> dict[str, float]:
    return {"epoch": epoch, "seconds": float(epoch), "recon_loss": loss}


def ended(number: int, loss: float, folder: Path, training: Training) -> TrialRecord:
    """A trial with a checkpoint where Ray Tune puts it."""
    path = f"ray/trial-{number:04d}/checkpoint_000000"
    write(folder / path, pack(training))
    return make_trial(number, {"recon_loss": loss}, checkpoint=path, checkpoint_epoch=1)


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def test_the_best_are_kept_with_what_they_say_of_each_test_sample(tmp_path: Path, training: Training) -> None:
    trials = tuple(ended(n, loss, tmp_path, training) for n, loss in enumerate((0.4, 0.1, 0.3, 0.2)))
    search = keep_checkpoints(SearchRecord("s", trials, goals("recon_loss")), tmp_path, final=True)
    assert kept(tmp_path) == ["trial-0001", "trial-0002", "trial-0003"]
    assert search.trials[0].sample_losses == ()
    for trial in search.trials[1:]:
        assert trial.checkpoint == f"checkpoints/{trial.name}"
        assert trial.sample_losses == pytest.approx(training.sample_losses.tolist(), rel=1e-5)


def test_no_trial_names_a_folder_that_is_not_there(tmp_path: Path, training: Training) -> None:
    """Neither at the end, nor in a session that opens the journal later: it names the folders of before."""
    trials = tuple(ended(n, loss, tmp_path, training) for n, loss in enumerate((0.4, 0.1, 0.3, 0.2)))
    search = keep_checkpoints(SearchRecord("s", trials, goals("recon_loss")), tmp_path, final=True)
    assert [trial.weights for trial in search.trials] == [
        None,
        *(f"checkpoints/trial-{n:04d}" for n in (1, 2, 3)),
    ]
    assert [located(trial, tmp_path).weights for trial in trials] == [trial.weights for trial in search.trials]
    assert not any((tmp_path / "ray").iterdir())


def test_the_best_weights_outlive_the_last_and_reach_the_figure_beside_them(tmp_path: Path) -> None:
    """The last epoch is worse here, as that of a model that overfits; Tune deletes all but its checkpoint."""
    training = Training(config(), dataset())
    first = training.run_epoch()
    checkpoints = [tmp_path / "ray" / "trial-0000" / f"checkpoint_{epoch:06d}" for epoch in (0, 1)]
    write(checkpoints[0], pack(training))
    trial = replace(make_trial(0, reports=(first,)), checkpoint="ray/trial-0000/checkpoint_000000", checkpoint_epoch=1)
    trial = replace(trial, best_checkpoint=keep_best(trial, tmp_path), best_epoch=1)
    training.run_epoch()
    write(checkpoints[1], pack(training))
    for path in sorted(checkpoints[0].iterdir()):
        path.unlink()
    checkpoints[0].rmdir()
    worse = {**first, "epoch": 2, "recon_loss": 2 * first["recon_loss"]}
    trial = replace(trial, reports=(first, worse), checkpoint="ray/trial-0000/checkpoint_000001", checkpoint_epoch=2)
    (found,) = keep_checkpoints(SearchRecord("s", (trial,), goals("recon_loss")), tmp_path, final=True).trials
    assert kept(tmp_path) == ["trial-0000", "trial-0000-last"]
    assert (found.weights, found.checkpoint) == ("checkpoints/trial-0000", "checkpoints/trial-0000-last")
    model = load_model(tmp_path / str(found.weights))
    again = evaluate(model, training.dataset, training.config.training.batch_size).metrics["recon_loss"]
    assert again == pytest.approx(found.result["recon_loss"], rel=1e-5)


def test_repetitions_of_the_recommended_trial_are_kept_and_what_is_no_longer_wanted_goes(
    tmp_path: Path, training: Training
) -> None:
    trials = [ended(n, loss, tmp_path, training) for n, loss in enumerate((0.4, 0.1, 0.3, 0.2, 0.5))]
    again = replace(ended(5, 0.12, tmp_path, training), role=Role.CONFIRM, parent=1)
    search = SearchRecord("s", (*trials[:1], again), goals("recon_loss"))
    keep_checkpoints(search, tmp_path, final=False)
    assert kept(tmp_path) == ["trial-0000"]
    keep_checkpoints(replace(search, trials=(*trials, again)), tmp_path, final=True)
    assert kept(tmp_path) == ["trial-0001", "trial-0002", "trial-0003", "trial-0005"]


def test_what_is_kept_already_stays_when_a_search_goes_on(tmp_path: Path, training: Training) -> None:
    search = SearchRecord("s", (ended(0, 0.1, tmp_path, training),), goals("recon_loss"))
    first = keep_checkpoints(search, tmp_path, final=True)
    again = replace(search, trials=tuple(located(trial, tmp_path) for trial in search.trials))
    assert keep_checkpoints(again, tmp_path, final=True) == first
    assert load_model(tmp_path / str(first.trials[0].weights))


def test_a_checkpoint_that_a_journal_places_elsewhere_is_not_removed(tmp_path: Path, training: Training) -> None:
    """A results folder may be somebody else's."""
    elsewhere = tmp_path / "elsewhere" / "precious"
    write(elsewhere, pack(training))
    trials = [ended(n, loss, tmp_path / "run", training) for n, loss in enumerate((0.1, 0.2, 0.3, 0.4))]
    trials[3] = replace(trials[3], checkpoint="../elsewhere/precious")
    keep_checkpoints(SearchRecord("s", tuple(trials), goals("recon_loss")), tmp_path / "run", final=True)
    assert (elsewhere / CONFIG).exists()


def test_a_running_trial_is_where_it_trains(tmp_path: Path, training: Training) -> None:
    trial = replace(ended(0, 0.1, tmp_path, training), state=TrialState.RUNNING)
    search = keep_checkpoints(SearchRecord("s", (trial,), goals("recon_loss")), tmp_path, final=False)
    assert search.trials[0].checkpoint == trial.checkpoint
    assert kept(tmp_path) == ["trial-0000"]


def test_a_checkpoint_of_an_earlier_epoch_stands_beside_its_own_figure(tmp_path: Path, training: Training) -> None:
    trial = ended(0, 0.1, tmp_path, training)
    behind = replace(trial, reports=(*trial.reports, report(2, 0.05)))
    search = keep_checkpoints(SearchRecord("s", (behind,), goals("recon_loss")), tmp_path, final=True)
    assert search.trials[0].result["recon_loss"] == 0.1
    assert search.trials[0].metrics["recon_loss"] == 0.05


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
