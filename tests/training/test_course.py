import csv

import pytest
import torch

from ndvq_tune.config import AttentionConfig
from ndvq_tune.errors import ResultsError
from ndvq_tune.training import course
from ndvq_tune.training.checkpoint import load_model
from ndvq_tune.training.loop import Training
from tests.training.training_examples import config, dataset, timeless


def training(**model) -> Training:
    return Training(config(model), dataset())


def rows(folder) -> list[dict[str, str]]:
    with (folder / course.HISTORY).open(newline="") as file:
        return list(csv.DictReader(file))


def stopped(folder, after: int) -> list[dict[str, float]]:
    """What was reported until Ctrl-C after an epoch."""
    seen = []

    def show(report):
        seen.append(timeless(report))
        if len(seen) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        course.run(training(), folder, show)
    return seen


def test_a_training_that_was_stopped_goes_on_as_if_it_never_had_been(tmp_path):
    whole: list = []
    course.run(training(), tmp_path / "whole", lambda report: whole.append(timeless(report)))
    seen = stopped(tmp_path / "parts", 2)
    assert course.saved_epoch(tmp_path / "parts") == 2
    assert len(list((tmp_path / "parts" / course.CHECKPOINTS).iterdir())) == 1
    again = training()
    course.check(tmp_path / "parts", resume=True)
    course.resume(again, tmp_path / "parts")
    course.run(again, tmp_path / "parts", lambda report: seen.append(timeless(report)))
    assert seen == whole
    first, second = (load_model(tmp_path / name).state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    for folder in (tmp_path / "whole", tmp_path / "parts"):
        assert [int(row["epoch"]) for row in rows(folder)] == [report["epoch"] for report in whole]
        assert float(rows(folder)[-1]["recon_loss"]) == pytest.approx(whole[-1]["recon_loss"], rel=1e-6)
        assert not (folder / course.CHECKPOINTS).exists()


def test_what_a_kill_left_half_written_is_not_gone_on_with(tmp_path):
    stopped(tmp_path, 1)
    (tmp_path / course.CHECKPOINTS / ".epoch-000002.x1y2").mkdir()
    (tmp_path / course.CHECKPOINTS / "epoch-000002").mkdir()
    assert course.saved_epoch(tmp_path) == 1


def test_a_folder_is_free_or_holds_what_goes_on(tmp_path):
    course.check(tmp_path, resume=False)
    with pytest.raises(ResultsError, match="holds no training to go on with"):
        course.check(tmp_path, resume=True)
    stopped(tmp_path, 1)
    with pytest.raises(ResultsError, match="go on with --resume"):
        course.check(tmp_path, resume=False)
    course.check(tmp_path, resume=True)
    course.run(training(), tmp_path, lambda report: None)
    for resume in (False, True):
        with pytest.raises(ResultsError, match="already holds a model"):
            course.check(tmp_path, resume=resume)


def test_what_fits_of_another_model_is_taken_and_the_rest_is_named():
    torch.manual_seed(1)
    other, own = training().model, training(n_codes=32)
    before = {name: tensor.clone() for name, tensor in own.model.state_dict().items()}
    other.data_mean += 1
    left = course.start_from(own, other)
    assert set(left) == {name for name, tensor in before.items() if tensor.shape != other.state_dict()[name].shape}
    assert all("there, and 32" in reason for reason in left.values())
    for name, tensor in own.model.state_dict().items():
        taken = name not in left and name not in ("data_mean", "data_variance")
        assert torch.equal(tensor, other.state_dict()[name] if taken else before[name])


def test_layers_that_only_one_of_both_has_are_named():
    plain = AttentionConfig(type="none")
    left = course.start_from(training(), training(attention=plain).model)
    assert left
    assert all(".attention." in name and reason == "is not in the other model" for name, reason in left.items())
    left = course.start_from(training(attention=plain), training().model)
    assert set(left.values()) == {"has no place in this model"}
