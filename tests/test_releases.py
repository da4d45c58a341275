"""What a folder of release 0.1 holds stays readable. ``releases/0.1`` was made by that release, and has not changed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ndvq_tune.commands.train import load_config
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, StopReason, TrialRecord, TrialState
from ndvq_tune.search.earlier.reading import read_folder
from ndvq_tune.search.engine.study import Study
from ndvq_tune.search.folder import kept_space
from ndvq_tune.search.tune.history import History
from ndvq_tune.training.checkpoint import load_model, unpack
from ndvq_tune.training.files import read
from ndvq_tune.training.loop import Training
from tests.training.training_examples import dataset

AS_IN_0_1 = [
    *("data.normalise=pooled", "model.legacy_layers=true", "model.norm=group"),
    *("training.beta2=0.999", "training.schedule.final_share=0.1"),
]
KEPT = Path(__file__).parent / "releases" / "0.1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(KEPT, tmp_path / "0.1"))


def ends(trials: tuple[TrialRecord, ...]) -> list[tuple[int, TrialState, StopReason | None, int]]:
    return [(trial.number, trial.state, trial.stop_reason, len(trial.reports)) for trial in trials]


ENDS = [
    (0, TrialState.COMPLETED, None, 3),
    (1, TrialState.COMPLETED, None, 3),
    (2, TrialState.FAILED, None, 0),
    (3, TrialState.COMPLETED, None, 3),
    (4, TrialState.COMPLETED, None, 3),
    (5, TrialState.PRUNED, StopReason.DIVERGED, 1),
    (6, TrialState.COMPLETED, None, 3),
]


def test_a_search_goes_on_with_all_of_its_trials(folder):
    space = kept_space(folder, ["search.trials=9"])
    study = Study.open(folder, space)
    assert ends(study.records) == ENDS
    standing = Standing(study.to_record())
    assert [trial.number for trial in standing.front] == [4]  # the one whose weights are there
    assert standing.best.number == 4
    assert (study.record(6).role, study.record(6).parent) == (Role.CONFIRM, 4)
    assert [item.means[0] for item in standing.confirmed] == pytest.approx([0.928], abs=5e-4)
    assert study.record(2).error.startswith("ShapeError: training.loss.spectral_weight is for 1-dimensional data")
    assert study.record(4).config == space.complete(study.record(4).params)
    assert study.record(4).config.data.normalise == "pooled"  # as all of that release, and so are its new trials
    assert study.begin(study.propose()).number == 7
    study.close()
    assert ends(Study.open(folder, space).records)[:7] == ENDS


def test_another_search_can_learn_from_it(folder):
    space, earlier = read_folder(folder)
    assert (space.name, earlier.name, earlier.unreadable) == ("release_0_1", "release_0_1", 0)
    assert ends(earlier.trials) == ENDS


def test_its_checkpoint_loads_and_trains_on(folder):
    checkpoint = folder / "checkpoints" / "trial-0004"
    model = load_model(checkpoint)
    assert model.data_variance.shape == ()
    x = torch.rand(2, 3, 4, 16, 16)
    with torch.no_grad():
        recon_loss, x_recon, _ = model(x)
    expected = np.square((x_recon - x).double().numpy()).mean() / model.data_variance.item()
    assert recon_loss.item() == pytest.approx(expected)
    run = load_config(folder / "best.yaml", AS_IN_0_1)
    assert run == read_folder(folder)[1].trials[4].config
    training = Training(run, dataset(), "cpu")
    unpack(training, read(checkpoint))
    assert training.epoch == 3
    history = History.read(checkpoint)
    assert ([report["epoch"] for report in history.reports], history.rescues) == ([1, 2, 3], [])
