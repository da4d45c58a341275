import math
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from ndvq_tune.metrics import METRICS
from ndvq_tune.records import SearchRecord
from ndvq_tune.report.tables import curves_table, trials_table, write_tables
from tests.report.report_examples import OBJECTIVES, make_trial


def test_trials_and_curves_read_back_in_pandas(example: SearchRecord, tmp_path: Path) -> None:
    write_tables(example, tmp_path)
    trials = pd.read_parquet(tmp_path / "trials.parquet")
    curves = pd.read_parquet(tmp_path / "curves.parquet")
    assert len(trials) == len(example.trials)
    assert len(curves) == sum(len(trial.reports) for trial in example.trials)
    first = example.trials[0]
    row = trials.iloc[0]
    assert (row["name"], row["state"], row["epochs"]) == (first.name, str(first.state), len(first.reports))
    assert row["recon_loss"] == first.metrics["recon_loss"]
    assert row["n_codes"] == first.params["model.n_codes"]
    assert row["downsample"] == "x".join(map(str, first.params["model.downsample"]))
    assert row["seconds"] == pytest.approx(2 * len(first.reports))
    curve = curves[curves["name"] == first.name]
    assert list(curve["epoch"]) == [report["epoch"] for report in first.reports]
    assert list(curve["perplexity"]) == [report["perplexity"] for report in first.reports]


def test_a_metric_named_like_a_parameter_keeps_both(example: SearchRecord) -> None:
    frame = trials_table(example).to_pandas()
    assert frame["learning_rate"][0] == example.trials[0].params["training.learning_rate"]
    assert frame["last_learning_rate"][0] == example.trials[0].metrics["learning_rate"]


def test_origin_and_rescues_of_trials_are_columns(eventful: SearchRecord) -> None:
    table = trials_table(eventful)
    columns = {name: table[name].to_pylist() for name in ("role", "parent", "rescues")}
    assert [columns[name][4] for name in columns] == ["search", None, "restart_codes@2"]
    assert [columns[name][17] for name in columns] == ["search", None, "restart_codes@2, lower_beta@4"]
    assert [columns[name][21] for name in columns] == ["exploit", 4, "lower_beta@1"]
    assert [columns[name][24] for name in columns] == ["confirm", 16, None]


def test_types_do_not_depend_on_there_being_trials(empty: SearchRecord, single: SearchRecord) -> None:
    none, one = trials_table(empty).schema, trials_table(single).schema
    assert {field.name: field.type for field in none}.items() <= {field.name: field.type for field in one}.items()
    assert curves_table(empty).schema == curves_table(single).schema
    assert set(METRICS) <= set(none.names)


def test_parameters_have_the_type_of_their_values() -> None:
    values = [
        {"model.a": 1, "model.b": 1, "model.c": True, "model.d": "x", "model.e": [1, 2], "model.f": 1},
        {"model.a": 2, "model.b": 0.5, "model.c": False, "model.d": "y", "model.e": [3], "model.f": "auto"},
        {},
    ]
    trials = tuple(make_trial(number, params=params) for number, params in enumerate(values))
    table = trials_table(SearchRecord("s", trials, OBJECTIVES))
    columns = {name: table[name].to_pylist() for name in "abcdef"}
    assert columns == {
        "a": [1, 2, None],
        "b": [1.0, 0.5, None],
        "c": [True, False, None],
        "d": ["x", "y", None],
        "e": ["1x2", "3", None],
        "f": ["1", "auto", None],
    }
    assert str(table.schema.field("a").type) == "int64"


def test_nan_stays_and_what_was_not_measured_is_null() -> None:
    search = SearchRecord("s", (make_trial(0, {"recon_loss": math.nan}),), OBJECTIVES)
    table = trials_table(search)
    assert math.isnan(table["recon_loss"][0].as_py())
    assert table["psnr"][0].as_py() is None


def test_a_failed_write_leaves_the_old_table(
    single: SearchRecord, empty: SearchRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tables(single, tmp_path)

    def full_disk(table: object, path: Path) -> None:
        path.write_bytes(b"half a ta")
        raise OSError("No space left on device")

    monkeypatch.setattr(pq, "write_table", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_tables(empty, tmp_path)
    assert len(pd.read_parquet(tmp_path / "trials.parquet")) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.parquet", "trials.parquet"]
