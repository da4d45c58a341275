import io
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from ndvq_tune.config import RunConfig
from ndvq_tune.records import Role, StopReason, TrialRecord, TrialState
from ndvq_tune.search.progress import SHOWN, Lines, LiveTable, clock, search_progress, seconds_left
from tests.search.search_examples import report


def trial(number: int = 0, *reports: dict[str, float], **changes: Any) -> TrialRecord:
    return TrialRecord(number, {}, RunConfig(), reports=reports, **changes)


LAST = report(5, 0.12345, psnr=21.987, perplexity=301.26, codebook_usage=0.756, bits_per_element=0.15625)
ENDINGS = {
    "completed": {"state": TrialState.COMPLETED},
    "pruned (collapse)": {"state": TrialState.PRUNED, "stop_reason": StopReason.COLLAPSE},
    "failed: RuntimeError: out of [memory]": {
        "state": TrialState.FAILED,
        "error": "RuntimeError: out of [memory]\nTraceback",
    },
    "failed: ": {"state": TrialState.FAILED, "error": ""},
    "failed:": {"state": TrialState.FAILED, "error": None},
}


@pytest.fixture
def pipe() -> Console:
    return Console(file=io.StringIO())


def test_a_start_tells_how_far_the_search_is_whatever_the_trials_number(pipe):
    known = (trial(0, LAST, **ENDINGS["completed"]), trial(4))
    with search_progress(pipe, lambda: 8, known, None) as progress:
        for record in (trial(4), trial(17), trial(17, report(1)), trial(79)):
            progress.update(record)
    assert re.findall(r".* starts.*", pipe.file.getvalue()) == [
        "trial-0017 starts (3 of 8)",
        "trial-0079 starts (4 of 8)",
    ]


def lines_of(pipe: Console, *records: TrialRecord, notes: tuple[str, ...] = ()) -> list[str]:
    with search_progress(pipe, lambda: 8, (), None) as progress:
        assert isinstance(progress, Lines)
        for record in records:
            progress.update(record)
        for note in notes:
            progress.note(note)
    return pipe.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_what_follows_a_search_says_what_it_comes_from(pipe):
    ends, again = (replace(trial(n), role=role, parent=3) for n, role in ((5, Role.FINISH), (6, Role.CONFIRM)))
    assert lines_of(pipe, ends, again) == [
        "trial-0005 goes on to the end of trial-0003 (1 of 8)",
        "trial-0006 repeats trial-0003 (2 of 8)",
    ]


def test_a_pipe_gets_one_line_a_report(pipe):
    running = trial(3, report(1), LAST)
    lines = lines_of(pipe, trial(3), running, replace(running, **ENDINGS["pruned (collapse)"]))
    assert lines == [
        "trial-0003 starts (1 of 8)",
        "trial-0003 epoch 5/20 recon_loss 0.1235 psnr 21.99 perplexity 301.3 usage 75.6% bits 0.1562",
        "trial-0003 pruned (collapse)",
    ]


@pytest.mark.parametrize("outcome", ENDINGS)
def test_a_line_says_how_a_trial_ended(pipe, outcome):
    report, end = lines_of(pipe, trial(0, LAST, **ENDINGS[outcome]))
    assert report.startswith("trial-0000 epoch 5/20")
    assert end.startswith(f"trial-0000 {outcome.strip()}")


def test_a_report_that_was_shown_is_not_shown_again(pipe):
    """A trial that is paused and resumed, or taken up by another session, starts again with its last report."""
    known = trial(0, report(1))
    with search_progress(pipe, lambda: 8, (known,), None) as progress:
        for record in (known, trial(0, LAST), trial(0, LAST)):
            progress.update(record)
    assert [line.split()[:3] for line in pipe.file.getvalue().splitlines()] == [["trial-0000", "epoch", "5/20"]]


def test_lines_have_no_control_characters_and_are_never_broken(pipe):
    records = [trial(0), trial(0, report(1, math.nan, psnr=math.nan)), trial(0, LAST), trial(1)]
    note = "trial-0000: its process was lost [see logs] " + "x" * 300
    assert len(lines_of(pipe, *records, notes=(note,))) == len(records) + 1
    assert re.fullmatch(r"[\x20-\x7e\n]*", pipe.file.getvalue())
    assert note in pipe.file.getvalue()


def rendered(known: tuple[TrialRecord, ...], *records: TrialRecord) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, record=True)
    view = search_progress(console, lambda: 8, known, None)
    assert isinstance(view, LiveTable)
    for record in records:
        view.update(record)
    console.print(view._render())
    return console.export_text()


def test_the_table_shows_every_trial_with_its_numbers_and_state():
    text = rendered((trial(0, LAST, **ENDINGS["completed"]),), trial(1, report(2, 0.5)), trial(2))
    header, *rows, bar = text.splitlines()
    assert header.split() == ["trial", "epoch", "recon_loss", "psnr", "perplexity", "usage", "bits", "state"]
    assert [row.split() for row in rows] == [
        ["trial-0000", "5/20", "0.1235", "21.99", "301.3", "75.6%", "0.1562", "completed"],
        ["trial-0001", "2/20", "0.5000", "20.00", "12.0", "75.0%", "0.5000", "running"],
        ["trial-0002", "0/20", "running"],
    ]
    assert "1/8" in bar
    assert "0:00 passed" in bar


def test_metrics_that_a_search_asks_for_have_a_column(pipe):
    similar = trial(0, LAST | {"ssim": 0.87654})
    header, row, _ = rendered((), similar).splitlines()
    assert header.split()[2:5] == ["recon_loss", "psnr", "ssim"]
    assert row.split()[2:5] == ["0.1235", "21.99", "0.8765"]
    assert "psnr 21.99 ssim 0.8765 perplexity" in lines_of(pipe, similar)[-1]


@pytest.mark.parametrize("outcome", ENDINGS)
def test_the_table_says_how_a_trial_ended(outcome):
    assert outcome.strip() in rendered((), trial(0, LAST, **ENDINGS[outcome]))


def test_a_long_error_is_whole_in_a_pipe_and_cut_where_the_table_ends(pipe):
    error = "its process was lost again and again: " + "CUDA out of memory " * 8
    failed = trial(0, LAST, state=TrialState.FAILED, error=error)
    assert lines_of(pipe, failed)[-1] == f"trial-0000 failed: {error}"
    _, row, _ = rendered((), failed).splitlines()
    assert row.split()[:7] == ["trial-0000", "5/20", "0.1235", "21.99", "301.3", "75.6%", "0.1562"]
    assert row.endswith("…")


def test_the_table_keeps_running_trials_in_sight_and_drops_the_oldest_ended_ones():
    ended = tuple(trial(number, LAST, state=TrialState.COMPLETED) for number in range(1, 40))
    names = re.findall(r"trial-\d+", rendered(ended, trial(0, LAST), trial(40)))
    assert names == ["trial-0000", *(f"trial-{number:04d}" for number in range(40 - SHOWN + 2, 41))]


def test_an_update_replaces_what_was_known():
    text = rendered((trial(0, report(1)),), trial(0, report(1), LAST, state=TrialState.COMPLETED))
    assert text.count("trial-0000") == 1
    assert "5/20" in text


def test_a_note_stands_above_the_table():
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with search_progress(console, lambda: 8, (), None) as progress:
        progress.note("interrupted; [saving]")
    assert "interrupted; [saving]\n" in re.sub(r"\x1b\[[?0-9;]*[a-z]", "", console.file.getvalue())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("done", "waiting", "elapsed", "budget", "left"),
    [
        (0, 8, 60, None, None),
        (2, 6, 60, None, 180),
        (8, 0, 60, None, 0),
        (0, 8, 60, 100, 40),
        (2, 6, 60, 100, 40),  # time is up before the trials are done
        (2, 6, 60, 1000, 180),
        (0, 8, 60, 50, 0),
    ],
)
def test_time_left(done, waiting, elapsed, budget, left):
    assert seconds_left(done, waiting, elapsed, budget) == left


def test_trials_of_earlier_sessions_say_nothing_about_this_ones_speed():
    known = tuple(trial(number, LAST, state=TrialState.COMPLETED) for number in range(3))
    assert "left" not in rendered(known)
    assert "left" in rendered(known, trial(3, LAST, state=TrialState.COMPLETED))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (36605, "10:10:05"),
    ],
)
def test_clock(seconds, text):
    assert clock(seconds) == text
