import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from ndvq_tune.report.code_use import CodeUse, code_use, code_uses, write_code_use
from ndvq_tune.training.files import CODE_COUNTS, TRAINING
from tests.report.report_examples import make_trial

UNEVEN = CodeUse("trial-0003", np.array([[0, 6, 1, 1, 0, 8, 0, 0]]))
RESIDUAL = CodeUse("trial-0007", np.array([[4, 4, 4, 4], [0, 16, 0, 0]]))


def keep(folder: Path, counts: np.ndarray | None) -> None:
    folder.mkdir(parents=True)
    save_file({} if counts is None else {CODE_COUNTS: counts}, folder / TRAINING)


def test_codes_are_in_the_order_of_their_use_over_even_use_without_those_never_used() -> None:
    (line,) = UNEVEN.lines
    assert line == [(0, 4), (1 / 8, 4), (2 / 8, 3), (3 / 8, 0.5), (4 / 8, 0.5)]  # even use is 2


def test_each_codebook_has_a_line_of_its_own() -> None:
    even, one = RESIDUAL.lines
    assert even == [(0, 1), (0.25, 1), (0.5, 1), (0.75, 1), (1, 1)]
    assert one == [(0, 4), (0.25, 4)]


def test_a_long_line_is_thinned_but_keeps_its_ends() -> None:
    counts = np.arange(1, 5001)[None]
    (line,) = CodeUse("t", counts).lines
    assert len(line) <= 201
    assert line[1] == pytest.approx((1 / 5000, 5000 / counts.mean()))
    assert line[-1] == pytest.approx((1, 1 / counts.mean()))


def test_perplexity_and_codes_never_used_are_said_of_each_codebook() -> None:
    shares = np.array([6, 1, 1, 8]) / 16
    perplexity = math.exp(-(shares * np.log(shares)).sum())
    assert UNEVEN.text == f"trial-0003: 8 codes, perplexity {perplexity:.1f}, never used 4."
    assert RESIDUAL.text == "trial-0007: 2 codebooks of 4 codes, perplexity 4.0, 1.0, never used 0, 3."


def test_too_few_positions_are_said_to_be_why_codes_are_not_used() -> None:
    few = CodeUse("t", np.array([[1, 1, 0, 0]]))
    assert few.text.endswith("never used 2, as there are only 2 positions in the test data.")


def test_only_checkpoints_that_know_of_it_are_shown_and_only_of_the_first_few(tmp_path: Path) -> None:
    trials = [make_trial(number) for number in range(7)]
    keep(tmp_path / "checkpoints" / "trial-0001", UNEVEN.counts)
    keep(tmp_path / "checkpoints" / "trial-0002", None)  # of an earlier release
    for number in range(3, 7):
        keep(tmp_path / "checkpoints" / f"trial-{number:04d}", RESIDUAL.counts)
    found = code_uses([make_trial(9, checkpoint=None), *trials], tmp_path)
    assert [use.trial for use in found] == ["trial-0001", "trial-0003", "trial-0004"]
    assert (found[0].counts == UNEVEN.counts).all()


def test_the_chart_of_the_report_has_a_line_a_codebook_and_a_name_a_trial() -> None:
    figure = code_use([UNEVEN, RESIDUAL])
    assert [(trace.name, trace.showlegend) for trace in figure.data] == [
        ("even use", None), ("trial-0003", True), ("trial-0007", True), ("trial-0007", False),
    ]  # fmt: skip
    assert list(zip(figure.data[1].x, figure.data[1].y, strict=True)) == UNEVEN.lines[0]
    assert not code_use([]).data


@pytest.mark.parametrize(("most", "dtick"), [(8, "D2"), (100_000, 1)])
def test_ticks_of_the_chart_of_the_report_are_few(most: int, dtick: str | int) -> None:
    axis = code_use([CodeUse("t", np.array([[most, 1, 1, 6]]))]).layout.yaxis
    assert (axis.type, axis.dtick, axis.tickformat) == ("log", dtick, ".6~g")


def test_one_trial_is_written_as_a_picture(tmp_path: Path) -> None:
    for use in (UNEVEN, RESIDUAL, CodeUse("t", np.array([[5, 0]]))):
        with Image.open(write_code_use(use, tmp_path / "codes.png")) as picture:
            assert picture.width > 1500
