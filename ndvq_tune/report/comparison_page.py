"""Several searches on one page, in the style of the report; ``comparison.html.jinja`` lays it out."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ndvq_tune.atomic import replacing
from ndvq_tune.pictures.showcase import Showcase
from ndvq_tune.report.comparison import Entry, ahead, differences, search_columns, setting_columns
from ndvq_tune.report.comparison_plots import fronts, fronts_caption, losses, losses_caption
from ndvq_tune.report.embedding import embedded
from ndvq_tune.report.finding import finding
from ndvq_tune.report.html import plot, render


def write_comparison(compared: Sequence[Entry], pictures: Sequence[Showcase | None], path: Path) -> None:
    """Writes the page.

    Args:
        compared: The searches.
        pictures: Of each, what there is to see and hear of its recommended model, if anything; it is embedded.
        path: The file.
    """
    rates, times = plot(fronts(compared)), plot(losses(compared))
    content = render(
        "comparison.html.jinja",
        names=[entry.name for entry in compared],
        now=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        ahead=ahead(compared),
        differences=differences(compared),
        searches=search_columns(compared),
        findings=[(entry.name, finding(entry.standing)) for entry in compared],
        fronts=rates,
        fronts_caption=rates and fronts_caption(compared),
        losses=times,
        losses_caption=times and losses_caption(compared),
        settings=setting_columns(compared),
        pictures=embedded(
            {
                f"{entry.name}: {entry.standing.best.name}": showcase
                for entry, showcase in zip(compared, pictures, strict=True)
                if showcase is not None and entry.standing.best is not None
            }
        ),
    )
    with replacing(path) as draft:
        draft.write_text(content, encoding="utf-8")
