from pathlib import Path

import pytest

from benchmarks import optuna_alone, real
from benchmarks.real import Found
from benchmarks.report import wide_console
from benchmarks.searching import of_file
from benchmarks.turns import Report
from ndvq_tune.search.space import SearchSpace
from ndvq_tune.training.evaluation import rate
from tests.search.search_examples import space_of
from tests.training.training_examples import dataset


@pytest.mark.parametrize(("data", "shape", "bits"), [("video3d", (3, 8, 64, 64), 0.25), ("signal1d", (1, 512), 2.0)])
def test_every_point_of_a_narrowed_space_keeps_the_bit_budget(data: str, shape: tuple[int, ...], bits: float) -> None:
    space = real.space_of(data, seed=3)
    codes, factors = (
        next(parameter.distribution.probes for parameter in space.searched if parameter.key == f"model.{name}")
        for name in ("n_codes", "downsample")
    )
    residual = {"model.quantizer.type": "residual", "model.quantizer.n_quantizers": 2} if data == "signal1d" else {}
    rates = [
        rate(space.complete({"model.n_codes": n, "model.downsample": factor, **residual}).model, shape)
        for n in codes
        for factor in factors
    ]
    assert max(rates) == bits
    assert space.search.seed == 3
    assert not space.search.first


@pytest.mark.parametrize("data", sorted(real.NARROWED))
def test_the_shipped_guess_is_a_point_of_the_narrowed_space(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[SearchSpace] = []
    monkeypatch.setattr(real, "ours", lambda space, folder, seconds: searched.append(space))
    real.guess(real.space_of(data, seed=0), tmp_path, 1)
    (point,) = searched[0].search.first
    assert point["training.learning_rate"] == 0.05


def test_what_counts_is_the_lowest_loss_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def way(space: SearchSpace, folder: Path, seconds: float) -> list[Report]:
        points = [("b", 30.0, 0.2), ("a", 10.0, 0.5), ("a", 20.0, 0.6), ("b", 70.0, 0.1)]
        return [Report(trial, 1000.0 + at, 0.0, loss) for trial, at, loss in points]

    monkeypatch.setattr(real, "WAYS", {"ours": way})
    monkeypatch.setattr("time.time", lambda: 1000.0)
    monkeypatch.setattr(real, "open_dataset", lambda data: None)
    found = real.search("video3d", "ours", seed=0, seconds=60)
    assert (found.trials, found.losses) == (2, ((10.0, 0.5), (30.0, 0.2)))
    assert [found.best(at) for at in (5, 10, 29, 60)] == [float("inf"), 0.5, 0.5, 0.2]


def test_ours_is_compared_with_each_other_way_seed_by_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, other = "ours", "Optuna, threads"
    found = [
        Found("video3d", way, seed, 4, ((10.0, loss),))
        for seed, losses in enumerate([(0.1, 0.2), (0.2, 0.8)])
        for way, loss in zip((ours, other), losses, strict=True)
    ]
    wide_console().print(real.table("video3d", found, 60))
    lines = capsys.readouterr().out.splitlines()
    assert "0.35x" in next(line for line in lines if line.strip().startswith(other))
    real.picture(tmp_path / "losses.png", found, 60)
    assert (tmp_path / "losses.png").stat().st_size > 10_000


def test_optuna_alone_trains_and_writes_each_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_alone, "open_dataset", lambda data: dataset())
    space = space_of(search={"trials": 2, "resources": {"lanes": 1}}, training={"max_epochs": 2})
    optuna_alone.search(space, tmp_path / "reports.jsonl")
    reports = of_file(tmp_path / "reports.jsonl")
    assert [report.trial for report in reports] == ["0", "0", "1", "1"]
    assert all(0 < report.loss < 10 for report in reports)
