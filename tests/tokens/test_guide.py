"""The program of docs/tokens.md runs as it stands there."""

import re
from pathlib import Path

import torch

from ndvq_tune.tokens.tokenize import tokenize

PAGE = Path(__file__).parents[2] / "docs" / "tokens.md"


def test_a_gpt_learns_from_tokens_and_makes_up_data(trained, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained("signal").rename(tmp_path / "model")
    tokenize(Path("model"), str(files("signal")), Path("tokens"))
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    found: dict = {}
    exec(program, found)
    assert len(found["dataset"]) == 93
    assert found["loss"] < torch.tensor(300.0).log()  # of a guess
    assert found["sample"].shape == (1, 1, 32)
    assert found["gpt"](found["made"]).shape == (1, 4, 300)
    # A code is predicted from those before it alone.
    other = found["made"].clone()
    other[0, 2] = (other[0, 2] + 1) % 300
    torch.testing.assert_close(found["gpt"](other)[:, :3], found["gpt"](found["made"])[:, :3])
