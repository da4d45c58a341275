"""The report in a browser: on a screen, on a phone, on paper; any error on its console fails."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from ndvq_tune.judgement.standing import Standing
from ndvq_tune.pictures.motion import motion
from ndvq_tune.pictures.reconstructions import reconstructions
from ndvq_tune.pictures.showcase import Showcase
from ndvq_tune.pictures.sounds import write_sound
from ndvq_tune.records import SearchRecord
from ndvq_tune.report.comparison import entries
from ndvq_tune.report.comparison_page import write_comparison
from ndvq_tune.report.html import write_html
from tests.report.report_examples import READY
from tests.tracking.chromium import Page, chromium

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium"),
]

CHARTS = 7
DRAWN = "[...document.querySelectorAll('.chart')].map(chart => chart.querySelector('.main-svg')?.clientWidth ?? 0)"
INSIDE = "[...document.querySelectorAll('.chart')].map(chart => chart.parentElement.clientWidth)"
SOUNDS = "[...document.querySelectorAll('audio')].map(audio => [audio.readyState, audio.duration, audio.clientWidth])"
MOTION = "(({naturalWidth, clientWidth}) => [naturalWidth, clientWidth])(document.querySelector('.motion img'))"
STILL = {
    "asked for no motion": {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]},
    "on paper": {"media": "print", "features": []},
}
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def report(eventful: SearchRecord, tmp_path: Path) -> str:
    """The address of a page with everything that one can have."""
    clips, sound = torch.rand(4, 3, 8, 64, 64), torch.rand(1, 12_000)
    places = Showcase.places(tmp_path, "trial-0006")
    reconstructions(clips, clips, places.still)
    motion(clips[0], clips[1], 12.5, places.motion)
    write_sound(sound, sound, 16_000, places.sounds[0])
    return write_html(Standing(eventful), READY, tmp_path, {"trial-0006": places.kept()}).as_uri()


async def drawn(page: Page, charts: int = CHARTS) -> list[int]:
    """Widths of the charts, once all are drawn."""
    for _ in range(60):
        widths: list[int] = await page._value(DRAWN)
        if len(widths) == charts and all(widths):
            return widths
        await asyncio.sleep(0.5)
    raise AssertionError(f"charts of widths {widths}: not all are drawn")


async def loaded(page: Page) -> list[list[float]]:
    """Of each sound, once all are loaded, how far it is, its seconds, and the width of what plays it."""
    for _ in range(60):
        sounds: list[list[float]] = await page._value(SOUNDS)
        if sounds and all(state >= 1 for state, *_ in sounds):
            return sounds
        await asyncio.sleep(0.5)
    raise AssertionError(f"sounds that are not loaded: {sounds}")


async def open_at(page: Page, address: str, width: int) -> None:
    """Open a page on a screen of that width."""
    screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    await page._call("Emulation.setDeviceMetricsOverride", **screen)
    await page.open(address, shows="Made with")


def look(report: str, width: int, tmp_path: Path) -> dict[str, Any]:
    """What the page is on a screen of that width, and on paper."""

    async def seen() -> dict[str, Any]:
        async with chromium(CHROMIUM, tmp_path / "profile", 1280, 900) as page:
            await open_at(page, report, width)
            found = {"charts": await drawn(page), "inside": await page._value(INSIDE)}
            found["overflow"] = await page._value(OVERFLOW)
            found["sounds"], found["motion"] = await loaded(page), await page._value(MOTION)
            await page._value("document.querySelector('.enlarge').click()")
            found["enlarged"] = await page._value("document.querySelector('figure:target img').clientWidth")
            await page._value("document.querySelector('.close').click()")
            found["closed"] = await page._value("document.querySelector('figure img').clientWidth")
            await page._value("dispatchEvent(new Event('beforeprint'))")
            found["printed"] = await drawn(page)
            await page._value("dispatchEvent(new Event('afterprint'))")
            found["after"] = await drawn(page)
            for name, asked in STILL.items():
                await page._call("Emulation.setEmulatedMedia", **asked)
                found[name] = await page._value(MOTION)
            found["errors"] = page.errors
            return found

    return asyncio.run(seen())


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_fits_its_screen_and_paper_and_raises_no_error(report: str, width: int, tmp_path: Path) -> None:
    page = look(report, width, tmp_path)
    assert page["errors"] == []
    assert page["overflow"] == 0
    charts = list(zip(page["charts"], page["inside"], strict=True))
    assert all(chart <= inside for chart, inside in (*charts[:3], *charts[6:]))
    assert all(chart >= 720 for chart, _ in charts[3:6])  # scroll by themselves where the screen is narrower
    assert page["enlarged"] >= 1400 > page["inside"][0] >= page["closed"]
    assert set(page["printed"]) == {1020}  # of the 1047 pixels that A4 has between its margins
    assert page["after"] == page["charts"]
    assert [seconds for _, seconds, _ in page["sounds"]] == pytest.approx([0.75, 0.75])
    assert all(250 < shown <= min(width, 560) for shown in (page["motion"][1], *(room for *_, room in page["sounds"])))
    assert page["motion"][0] == 132  # it can be decoded
    assert page["asked for no motion"] == page["on paper"] == [132, 0]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_that_compares_searches_does_so_too(
    eventful: SearchRecord, example: SearchRecord, width: int, tmp_path: Path
) -> None:
    searches = [("a", eventful), ("b", example)]
    compared = entries([(Path("runs", name), Standing(search), READY) for name, search in searches])
    write_comparison(compared, [None, None], tmp_path / "comparison.html")

    async def seen() -> tuple[list[int], list[int], int, list[str]]:
        async with chromium(CHROMIUM, tmp_path / "profile", 1280, 900) as page:
            await open_at(page, (tmp_path / "comparison.html").as_uri(), width)
            return await drawn(page, 2), await page._value(INSIDE), await page._value(OVERFLOW), page.errors

    charts, inside, overflow, errors = asyncio.run(seen())
    assert errors == []
    assert overflow == 0
    assert all(chart <= room for chart, room in zip(charts, inside, strict=True))
