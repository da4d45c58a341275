"""The train command: one configuration in, one loadable model out."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from ndvq_tune import RunConfig, load_model
from ndvq_tune.commands.train import app, load_config
from ndvq_tune.goals import Report
from ndvq_tune.training.loop import Training

SMALL = {
    "data": {"clip_length": 4, "clip_stride": 32, "resolution": 16},
    "model": {"n_codes": 16, "embedding_dim": 2, "downsample": [2, 4, 4], "n_hiddens": 8, "n_res_layers": 1},
    "training": {"max_epochs": 2},
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "best.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    return path


def train(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.slow
def test_a_training_goes_on_after_ctrl_c_and_another_begins_with_its_weights(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--config", config, "--output", tmp_path / "tokenizer", "--set", "training.max_epochs=3"]
    given, run = Training.run_epoch, iter(range(9))

    def interrupted(training: Training) -> Report:
        if next(run) == 1:
            raise KeyboardInterrupt
        return given(training)

    monkeypatch.setattr(Training, "run_epoch", interrupted)
    stopped = train(*arguments)
    assert stopped.exit_code == 130
    assert "stopped, and saved after epoch 1; the same command goes on with --resume" in stopped.stdout
    assert "holds a training that was stopped" in train(*arguments).stderr
    done = train(*arguments, "--resume")
    assert done.exit_code == 0, done.output
    assert "goes on after epoch 1" in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("epoch")]
    assert [line.split()[1] for line in lines] == ["2/3", "3/3"]
    assert lines[0].endswith(" left")
    assert len((tmp_path / "tokenizer" / "history.csv").read_text().splitlines()) == 4
    more = ["--config", config, "--output", tmp_path / "second", "--set", "model.n_codes=32"]
    tuned = train(*more, "--init-from", tmp_path / "tokenizer")
    assert tuned.exit_code == 0, tuned.output
    assert "not taken: quantizer." in tuned.stdout
    assert "16 x 2 there, and 32 x 2 here" in tuned.stdout


def test_a_search_space_is_not_trained(config: Path) -> None:
    config.write_text("name: mine\nsearch: {trials: 3}\n")
    done = train("--config", config, "--output", "tokenizer")
    assert done.exit_code == 2
    assert "is a search space; a training takes one configuration" in done.stderr


def test_only_a_new_training_begins_with_the_weights_of_another(config: Path) -> None:
    assert train("--config", config, "--output", "a", "--resume", "--init-from", "b").exit_code == 2
    done = train("--config", config, "--output", "a", "--resume")
    assert done.exit_code == 2
    assert "holds no training to go on with" in done.stderr


@pytest.mark.slow
def test_a_trained_model_can_be_loaded_and_its_folder_is_not_overwritten(config: Path, tmp_path: Path) -> None:
    arguments = ["--config", str(config), "--output", str(tmp_path / "tokenizer")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert [line.split()[1] for line in done.output.splitlines() if line.startswith("epoch")] == ["1/2", "2/2"]
    model = load_model(tmp_path / "tokenizer")
    assert model.input_shape == (3, 4, 16, 16)
    assert model.data_variance.shape == (3, 1, 1, 1)  # of each channel
    assert (model.data_variance > 0).all()

    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
    assert "already holds a model" in again.stderr


def test_settings_replace_what_the_file_says(config: Path) -> None:
    expected = RunConfig.model_validate(SMALL | {"training": {"max_epochs": 100}})
    assert load_config(config, ["training.max_epochs=100"]) == expected


def test_mistakes_are_named_with_their_lines_and_without_a_traceback(config: Path) -> None:
    config.write_text("model:\n  n_code: 16\ntraining:\n  max_epochs: 0\n")
    done = CliRunner().invoke(app, ["--config", str(config), "--output", "tokenizer"])
    assert done.exit_code == 2
    assert f"{config}:2: model.n_code: unknown key; did you mean 'n_codes'?" in done.stderr
    assert f"{config}:4: training.max_epochs: 0 given" in done.stderr
    assert "Traceback" not in done.output
