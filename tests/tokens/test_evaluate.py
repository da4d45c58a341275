import json
import lzma

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ndvq_tune.commands.evaluate import app
from ndvq_tune.data.folder.source import KINDS
from ndvq_tune.errors import DataError
from ndvq_tune.tokens.evaluate import evaluate, paired, si_sdr
from ndvq_tune.tokens.tokenize import as_trained
from ndvq_tune.training.checkpoint import load_config, load_model
from ndvq_tune.training.image_quality import frame_similarities

TYPES = ("video", "image", "signal", "array")


def whole(type_, model, folder):
    """Of each file the data and its reconstruction ``(B, C, *S)``, rounded as files are, and its codes."""
    loaded = load_model(model)
    config = as_trained(load_config(model).data, loaded.data, str(folder), None)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        rows = np.concatenate(list(KINDS[type_].read(path, config)))
        rows = rows if type_ in ("array", "image") else rows[None]
        x = loaded.data.to_unit(torch.from_numpy(rows).movedim(-1, 1).double())
        codes = loaded.encode(x.float())
        made = loaded.decode(codes, x.shape[2:]).detach().double()
        if rows.dtype == np.uint8:
            made = (made * 255).round().clamp(0, 255) / 255
        yield x, made, codes


@pytest.mark.parametrize("type_", TYPES)
def test_metrics_are_of_all_elements_of_all_files(type_, trained, files):
    model, folder = trained(type_), files(type_)
    found = evaluate(model, str(folder))
    x, made, codes = zip(*whole(type_, model, folder), strict=True)
    of_channels = [((b - a) ** 2).transpose(0, 1).flatten(1) for a, b in zip(x, made, strict=True)]
    mse = torch.cat(of_channels, 1).mean(1)
    variance = load_model(model).data_variance.flatten().double()
    assert found.files == 3
    assert found.metrics["recon_loss"] == pytest.approx((mse / variance).mean().item(), rel=1e-3)
    assert found.metrics["psnr"] == pytest.approx(-10 * mse.mean().log10().item(), abs=0.01)
    positions = sum(a.numel() // a.shape[1] for a in x)
    numbers = np.concatenate([part.numpy().ravel() for part in codes])
    assert found.metrics["bits_per_element"] == pytest.approx(len(numbers) * np.log2(300) / positions)
    coded = sum(len(lzma.compress(part.numpy().astype(np.uint16).tobytes())) for part in codes)
    assert found.metrics["coded_bits_per_element"] == pytest.approx(8 * coded / positions)
    shares = np.bincount(numbers, minlength=300) / len(numbers)
    assert found.metrics["perplexity"] == pytest.approx(
        np.exp(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())
    )
    assert found.metrics["codebook_usage"] == pytest.approx((shares > 0).mean())
    assert "ms_ssim" not in found.metrics  # frames of 16 pixels are too small
    if type_ in ("video", "image"):
        alike = [frame_similarities("ssim", b.float(), a.float()) for a, b in zip(x, made, strict=True)]
        assert found.metrics["ssim"] == pytest.approx(torch.cat(alike).mean().item(), abs=1e-4)
    if type_ == "signal":
        ratios = [
            si_sdr((a**2).sum(), (a * b).sum(), (b**2).sum())
            for a, b in ((a - 0.5, b - 0.5) for a, b in zip(x, made, strict=True))
        ]
        assert found.metrics["si_sdr"] == pytest.approx(np.mean(ratios), abs=0.01)


@pytest.mark.parametrize("loud", [0.1, 1.0, 30.0])
def test_si_sdr_does_not_depend_on_loudness(loud):
    chance = np.random.default_rng(0)
    signal, noise = chance.normal(size=4000), chance.normal(size=4000)
    noise -= signal * (noise @ signal) / (signal @ signal)
    noise *= np.linalg.norm(signal) / np.linalg.norm(noise) / 10  # a hundredth of the power
    made = loud * (signal + noise)
    assert si_sdr(signal @ signal, signal @ made, made @ made) == pytest.approx(20)


def test_streams_in_other_blocks_are_brought_side_by_side():
    rows = np.arange(20)
    pairs = list(paired(np.split(rows, [3, 11]), np.split(rows, [1, 4, 11, 18])))
    assert all(np.array_equal(first, second) for first, second in pairs)
    assert np.array_equal(np.concatenate([first for first, _ in pairs]), rows)


def test_a_file_that_cannot_be_used_is_left_out_and_named(trained, files):
    model, folder = trained("image"), files("image")
    expected = evaluate(model, str(folder)).metrics
    (folder / "broken.png").write_bytes(b"no image")
    found = evaluate(model, str(folder))
    assert list(found.skipped) == ["broken.png"]
    assert found.metrics["recon_loss"] == expected["recon_loss"]


def test_nothing_that_can_be_used_is_an_error(trained, tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"no images in it that can be used, for example .*broken\.png"):
        evaluate(trained("image"), str(tmp_path / "bad"))


def test_models_are_shown_side_by_side_and_written_for_programs(trained, files, tmp_path):
    models, output = [trained("image"), trained("image", seed=1)], tmp_path / "found.json"
    asked = ["--data", str(files("image")), "--json", str(output)]
    done = CliRunner().invoke(app, [*(word for model in models for word in ("--model", str(model))), *asked])
    assert done.exit_code == 0, done.output
    assert "Protocol: whole files" in done.output
    content = json.loads(output.read_text())
    assert [found["model"] for found in content["models"]] == [str(model) for model in models]
    losses = [found["metrics"]["recon_loss"] for found in content["models"]]
    assert losses[0] != losses[1]
    assert all(f"{loss:,.4g}" in done.output for loss in losses)
    assert content["data"] == {"path": str(files("image")), "shorter_side": None}
