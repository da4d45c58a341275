import io
from pathlib import Path

import pytest
from rich.console import Console

from ndvq_tune.diagnosis.finding import Diagnosis
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import SearchRecord
from ndvq_tune.report.summary import write_summary
from ndvq_tune.report.terminal import print_diagnosis, print_summary
from tests.report.report_examples import READY, UNFINISHED


@pytest.fixture(autouse=True)
def _nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ``runs/video3d`` is, nobody has searched: after README's first command that is not so everywhere."""
    monkeypatch.chdir(tmp_path)


def printed(
    search: SearchRecord, folder: Path = Path("runs/video3d"), width: int = 80, diagnosis: Diagnosis = UNFINISHED
) -> str:
    stream = io.StringIO()
    print_summary(
        Standing(search), diagnosis, Console(file=stream, width=width), folder, "mlflow ui\nhttp://127.0.0.1:5000"
    )
    return stream.getvalue()


@pytest.mark.parametrize("name", ["example", "eventful"])
def test_a_pipe_gets_plain_lines_of_80_columns(name: str, request: pytest.FixtureRequest) -> None:
    text = printed(request.getfixturevalue(name))
    assert text.replace("\n", "").isprintable()
    assert max(map(len, text.splitlines())) <= 80


def test_summary_names_the_best_the_front_and_the_places(example: SearchRecord, tmp_path: Path) -> None:
    write_summary(Standing(example), READY, tmp_path, space={}, mlflow=None)
    text = printed(example, tmp_path)
    assert "24 trials in 5 min 12 s" in text
    assert "scheduler 9, collapse 3, diverged 1" in text
    assert f"1 file skipped, see {tmp_path}/skipped.csv" in text
    table = text.split("Best trials\n")[1].split("\n\n")[0].splitlines()
    assert table[0].split() == [
        "trial", "recon_loss", "bits", "psnr", "perplexity", "usage", "n_codes", "embedding_dim",
    ]  # fmt: skip
    assert len(table) == 6
    assert "Rate-distortion front\n" in text
    assert f"results  {tmp_path}\n         best.yaml, summary.json\n" in text
    assert text.endswith("MLflow   mlflow ui\n         http://127.0.0.1:5000\n")


def test_a_wide_terminal_shows_more_parameters(example: SearchRecord) -> None:
    assert "attention.type" in printed(example, width=200).split("front")[0]


def test_a_long_path_is_not_broken(single: SearchRecord) -> None:
    folder = Path("/a" * 80)
    assert str(folder) in printed(single, folder)


def test_one_trial_and_none(single: SearchRecord, empty: SearchRecord) -> None:
    assert "trial-0000: reconstruction loss 0.100 (20.0 dB) at 0.250 bits per element" in printed(single)
    assert "No trial has led to a model yet." in printed(empty)


def block(text: str, title: str) -> list[list[str]]:
    """The words of each line under a title."""
    return [line.split() for line in text.split(f"{title}\n")[1].split("\n\n")[0].splitlines()]


def test_repetitions_have_a_table_of_their_own(eventful: SearchRecord) -> None:
    head, *rows = block(printed(eventful), "Repeated with other seeds")
    assert head == ["trial", "recon_loss", "spread", "P(lowest)", "bits", "seeds", "lost"]
    assert [(row[0], *row[-2:]) for row in rows] == [
        ("trial-0006", "4", "0"),
        ("trial-0016", "4", "0"),
        ("trial-0020", "3", "1"),
    ]


def test_trials_that_went_on_from_others_name_them(eventful: SearchRecord, example: SearchRecord) -> None:
    head, *rows = block(printed(eventful), "Best trials")
    assert head[:3] == ["trial", "parent", "recon_loss"]
    assert ["trial-0021", "trial-0004"] in [row[:2] for row in rows]
    assert "parent" not in printed(example)


def test_of_many_rescues_the_first_are_named(eventful: SearchRecord) -> None:
    text = printed(eventful)
    assert text.count("\nrescued trial-") == 3
    assert "\nand 1 more rescue\n" in text


def test_a_search_in_which_nothing_happened_is_as_short_as_can_be(single: SearchRecord) -> None:
    assert len(printed(single, diagnosis=READY).splitlines()) == 19


def test_what_mattered_is_told_under_the_finding(eventful: SearchRecord, example: SearchRecord) -> None:
    text = " ".join(printed(eventful).split())
    assert "What mattered most at equal bits: learning_rate 41% (28% to 54%), embedding_dim 20% (5% to 35%)." in text
    assert "mattered" not in printed(example)


def test_the_verdict_has_three_lines_and_a_ready_model_one(single: SearchRecord) -> None:
    assert (
        "\n\nVerdict: unfinished. Its loss still fell.\n"
        "Next: train it for longer.\n"
        "2 findings, with commands: python -m ndvq_tune.report runs/video3d --diagnose\n\nresults"
    ) in printed(single)
    assert "\n\nVerdict: ready. Nothing speaks against it.\n\nresults" in printed(single, diagnosis=READY)


def test_all_findings_have_evidence_advice_and_a_command_that_is_not_broken() -> None:
    stream = io.StringIO()
    print_diagnosis(UNFINISHED, Console(file=stream, width=80), Path("runs/video3d"))
    assert stream.getvalue() == (
        "Verdict: unfinished. Its loss still fell.\n"
        "trial-0003: fall of recon_loss 0.151, threshold 0.1; confidence medium\n"
        "Train it for longer.\n"
        "python -m ndvq_tune.train --config runs/video3d/best.yaml --output runs/video3d-trained"
        " --set training.max_epochs=48\n"
        "\n"
        "<few> trials.\n"
        "trials 4, threshold 8; confidence high\n"
        "Take more.\n"
        "python -m ndvq_tune.search --resume --output runs/video3d\n"
    )
