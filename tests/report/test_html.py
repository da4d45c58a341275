import base64
import gzip
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plotly.offline import get_plotlyjs

from ndvq_tune.judgement.standing import Standing
from ndvq_tune.pictures.motion import motion
from ndvq_tune.pictures.reconstructions import reconstructions
from ndvq_tune.pictures.showcase import Showcase
from ndvq_tune.pictures.sounds import write_sound
from ndvq_tune.records import SearchRecord
from ndvq_tune.report import html
from ndvq_tune.report.code_use import CodeUse
from ndvq_tune.report.html import write_html
from ndvq_tune.report.provenance import Origin
from tests.report.report_examples import READY, UNFINISHED, goals

FOLDER = Path("runs/video3d")


def showcase(folder: Path) -> Showcase:
    """Everything that there can be of a trial."""
    clips, sound = torch.rand(1, 3, 2, 8, 8), torch.rand(1, 4000)
    places = Showcase.places(folder, "trial-0006")
    reconstructions(clips, clips, places.still)
    motion(clips[0], clips[0], 25.0, places.motion)
    write_sound(sound, sound, 16_000, places.sounds[0])
    return places.kept()


def test_report_is_one_file_that_loads_nothing(example: SearchRecord, tmp_path: Path) -> None:
    page = write_html(Standing(example), READY, tmp_path, {"trial-0006": showcase(tmp_path)}).read_text()
    assert len(page) < 3_000_000
    before, library, after = re.split(r'(?<=id="plotly">)(.*?)(?=</script>)', page)
    assert gzip.decompress(base64.b64decode(library)).decode() == get_plotlyjs()
    assert not re.search(r'(src|href)="(?!data:|#)', before + after)
    for kind in ("image/webp", "audio/flac"):
        assert f'src="data:{kind};base64,' in before


@pytest.mark.usefixtures("without_library")
def test_charts_and_pictures_say_what_they_are_to_who_cannot_see_them(eventful: SearchRecord, tmp_path: Path) -> None:
    page = html.page(Standing(eventful), READY, FOLDER, {"trial-0006": showcase(tmp_path)}, Origin())
    charts = re.findall(r'<div class="chart.*?" role="img" aria-label="(.*?)">', page)
    assert [chart.partition(". ")[0] for chart in charts] == [
        *("Rate and distortion", "Progress", "What mattered", "Where good values lie", "What good trials combine"),
        *("Learning curves", "Where the time went"),
    ]
    assert all(len(chart.partition(". ")[2]) > 30 for chart in charts)  # its caption
    assert '<img alt="Inputs above reconstructions of trial-0006"' in page
    assert '<img alt="An input beside its reconstruction by trial-0006, in motion"' in page
    for part in ("input", "reconstruction"):
        assert f'<audio controls preload="metadata" aria-label="Sound 1, {part}, trial-0006"' in page
        assert f'<img alt="Spectrogram of sound 1, {part}, trial-0006"' in page
    assert page.count("<h1>") == 1
    assert page.count("<th>") == 0  # each has a scope
    assert page.count('<th scope="row">') == sum(
        len(rows_of(page, t)) - 1 for t in ("Best trials", "Repeated with other seeds")
    )


@pytest.mark.usefixtures("without_library")
def test_a_still_picture_of_an_earlier_release_is_all_that_its_folder_has(
    example: SearchRecord, tmp_path: Path
) -> None:
    still = Showcase(showcase(tmp_path).still)
    page = html.page(Standing(example), READY, FOLDER, {"trial-0006": still}, Origin())
    assert page.count("<img ") == 1
    for word in ("In motion", "<audio", "Spectrogram", "Too large"):
        assert word not in page


@pytest.mark.usefixtures("without_library")
def test_a_picture_is_enlarged_by_a_link_to_itself_and_closed_by_one_to_its_place(
    example: SearchRecord, tmp_path: Path
) -> None:
    page = html.page(Standing(example), READY, FOLDER, {"trial-0006": showcase(tmp_path)}, Origin())
    links = re.findall(r'href="#(.*?)"', page)
    assert links == ["at-trial-0006", "trial-0006"]
    assert all(page.count(f'id="{link}"') == 1 for link in links)


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "get_plotlyjs", lambda: "")


@pytest.mark.usefixtures("without_library")
def test_page_says_what_was_found(example: SearchRecord) -> None:
    page = html.page(Standing(example), READY, FOLDER, {}, Origin())
    winner = Standing(example).best
    assert winner is not None
    assert f"{winner.name} is the one to take" in page
    assert "24 trials in 5 min 12 s: 10 completed, 13 stopped early, 1 failed" in page
    assert "scheduler 9, collapse 3, diverged 1" in page
    assert "RuntimeError: out of &lt;memory&gt;" in page
    assert "<code>broken.mp4</code>: no video stream" in page
    assert page.count('<tr class="best">') == 1


@pytest.mark.usefixtures("without_library")
def test_page_shows_how_often_codes_are_used_where_that_is_known(example: SearchRecord) -> None:
    use = CodeUse("trial-0006", np.array([[3, 0, 1, 4]]))
    title, (without, known) = (
        "How often codes are used",
        (html.page(Standing(example), READY, FOLDER, {}, Origin(code_uses=uses)) for uses in ((), (use,))),
    )
    assert title not in without
    assert title in known
    assert known.count(use.text) == 2  # to be read, and as the chart's description


@pytest.mark.usefixtures("without_library")
def test_nothing_that_a_search_is_named_becomes_part_of_the_page(single: SearchRecord) -> None:
    bad = "<script>alert('&')</script>"
    trial = replace(single.trials[0], params={f"model.{bad}": bad}, error=bad)
    page = html.page(
        Standing(replace(single, name=bad, trials=(trial,), skipped_files={bad: bad})), READY, FOLDER, {}, Origin()
    )
    assert "<script>alert" not in page
    places = ("title", "heading", "parameter", "value", "error", "file", "reason")
    assert page.count("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;") == len(places)


@pytest.mark.usefixtures("without_library")
def test_page_without_trials_says_so(empty: SearchRecord) -> None:
    page = html.page(Standing(empty), READY, FOLDER, {}, Origin())
    assert "No trial has led to a model yet." in page
    assert "0 trials" in page


def rows_of(page: str, title: str) -> list[list[str]]:
    """The cells of the table in a section."""
    section = page.split(f"<h2>{title}</h2>")[1].split("</section>")[0]
    rows = re.findall("<tr.*?</tr>", section, re.DOTALL)
    return [[re.sub("<.*?>", "", cell) for cell in re.findall("<t[hd](?: [^>]*)?>.*?</t[hd]>", row)] for row in rows]


def text_of(page: str) -> str:
    """The page with every run of white space as the one space that a reader sees."""
    return " ".join(page.split())


@pytest.mark.usefixtures("without_library")
def test_page_tells_what_happened_beside_training(eventful: SearchRecord) -> None:
    page = text_of(html.page(Standing(eventful), READY, FOLDER, {}, Origin()))
    assert "1 failed; 9 repetitions." in page
    assert "<p>Ended early: its target was reached.</p>" in page
    assert "<p>31 configurations ruled out before training: 25 bits_per_element, 6 memory.</p>" in page
    assert page.count("<p>Rescued trial-") == 4
    assert "Lines are dotted where samples were smaller. A star marks a rescue of the codebook." in page
    small = sum(trial.metrics.get("fidelity", 1) < 1 for trial in eventful.trials)
    assert f"Trials that ended on smaller samples are left out: {small}." in page
    assert "<h2>What mattered</h2>" in page
    assert "How much of the differences in loss at equal bits each parameter explains by itself" in page


@pytest.mark.usefixtures("without_library")
def test_page_of_a_plain_search_does_not_speak_of_what_did_not_happen(example: SearchRecord) -> None:
    page = html.page(Standing(example), READY, FOLDER, {}, Origin())
    for word in (
        "Repeated",
        "Rescued",
        "rescue",
        "ruled out",
        "Ended",
        "parent",
        "dotted",
        "left out",
        "repetition",
        "mattered",
    ):
        assert word not in page


@pytest.mark.usefixtures("without_library")
def test_repetitions_and_parents_are_in_tables(eventful: SearchRecord) -> None:
    page = html.page(Standing(eventful), READY, FOLDER, {}, Origin())
    head, *rows = rows_of(page, "Repeated with other seeds")
    assert head == ["trial", "recon_loss", "spread", "P(lowest)", "bits", "seeds", "lost"]
    assert [row[0] for row in rows] == ["trial-0006", "trial-0016", "trial-0020"]
    head, *rows = rows_of(page, "Best trials")
    assert head[1] == "parent"
    assert ["trial-0021", "trial-0004"] in [row[:2] for row in rows]


@pytest.mark.usefixtures("without_library")
def test_progress_is_shown_from_two_trials_on(example: SearchRecord, single: SearchRecord) -> None:
    page = html.page(Standing(example), READY, FOLDER, {}, Origin())
    assert page.index("Rate and distortion") < page.index("Progress of the front") < page.index("Best trials")
    worst = max(trial.metrics["bits_per_element"] for trial in Standing(example).eligible)
    assert f"bits {worst:.3g})" in page
    assert "<h2>Progress</h2>" in html.page(
        Standing(replace(example, goals=goals("recon_loss"))), READY, FOLDER, {}, Origin()
    )
    assert "Progress" not in html.page(Standing(single), READY, FOLDER, {}, Origin())


@pytest.mark.usefixtures("without_library")
def test_verdict_and_what_to_do_next_stand_above_the_charts(example: SearchRecord) -> None:
    page = text_of(html.page(Standing(example), UNFINISHED, FOLDER, {}, Origin()))
    verdict = page[page.index("<h2>Verdict: unfinished</h2>") : page.index("<h2>Rate and distortion</h2>")]
    assert verdict.count("Its loss still fell.") == 1
    assert "trial-0003: fall of recon_<wbr>loss 0.151, threshold 0.1; confidence medium" in verdict
    assert "--config runs/video3d/best.yaml --output runs/video3d-trained --set training.max_epochs=48" in verdict
    assert "<h3>&lt;few&gt; trials.</h3>" in verdict


@pytest.mark.usefixtures("without_library")
def test_the_moment_the_line_that_loads_the_model_and_what_it_was_trained_on_are_on_the_page(
    example: SearchRecord,
) -> None:
    origin = Origin("As of noon.", "model = load_model('here')", {"sample rate": "16,000 Hz"})
    page = text_of(html.page(Standing(example), READY, FOLDER, {}, origin))
    assert "1 failed. As of noon.</p>" in page
    assert "<code>model = load_model(&#39;here&#39;)</code>" in page
    assert "<dt>sample rate</dt><dd>16,000 Hz</dd>" in page
    assert page.index("What it was trained on") < page.index("broken.mp4")
    assert "Made with python" in page


@pytest.mark.usefixtures("without_library")
def test_a_page_without_a_model_loads_none(empty: SearchRecord) -> None:
    page = html.page(Standing(empty), READY, FOLDER, {}, Origin())
    assert "load_model" not in page
    assert "trained on" not in page


def test_a_page_of_a_running_search_names_no_checkpoint(example: SearchRecord, tmp_path: Path) -> None:
    page = write_html(Standing(example), READY, tmp_path, {}, running=True).read_text()
    assert "while the search runs" in page
    assert "load_model" not in page
    assert "load_model" in write_html(Standing(example), READY, tmp_path, {}).read_text()
