"""What the documentation shows is so: commands and their options, links, examples, settings and their defaults."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from ndvq_tune.config import ArrayData, DataConfig, FolderData, ImageData, SignalData, TorchvisionData, VideoData
from ndvq_tune.config.data import Picture
from ndvq_tune.data.batches.augment import augmentation
from ndvq_tune.search.consistency import check
from ndvq_tune.search.space import SearchSpace

TOP = Path(__file__).parents[1]
DATA_PAGE = (TOP / "docs" / "data.md").read_text(encoding="utf-8")
PAGES = [
    TOP / "README.md",
    TOP / "CHANGELOG.md",
    TOP / "CONTRIBUTING.md",
    TOP / "data" / "README.md",
    TOP / "SECURITY.md",
    *sorted((TOP / "docs").rglob("*.md")),
]
COMMAND = re.compile(r"python -m ((?:ndvq_tune|benchmarks)(?:\.\w+)+(?: [a-z]+(?![\w/]))?)([^`\n#|&]*)")
OTHER_FORMATS = {"services"}  # keys that tell examples of Docker Compose
SHARED_SETTINGS = {"All types": FolderData, "Frames of videos, images and torchvision": Picture}
OWN_SETTINGS = {
    "Videos": VideoData,
    "Images": ImageData,
    "Signals": SignalData,
    "Arrays": ArrayData,
    "Torchvision": TorchvisionData,
}


def shown_commands() -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (page.name, command, tuple(re.findall(r"(?<!\S)--[a-z-]+", options)))
        for page in PAGES
        for command, options in COMMAND.findall(page.read_text(encoding="utf-8").replace("\\\n", " "))
    ]


@cache
def help_of(command: str) -> str:
    asked = [sys.executable, "-m", *command.split(), "--help"]
    return subprocess.run(asked, capture_output=True, text=True, cwd=TOP, check=True).stdout


@pytest.mark.parametrize(("page", "command", "options"), shown_commands())
def test_shown_commands_and_their_options_exist(page: str, command: str, options: tuple[str, ...]) -> None:
    missing = [option for option in options if option not in help_of(command)]
    assert not missing, f"{page}: {command} has no {missing}"


def test_linked_files_exist() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def sections(page: Path) -> list[str]:
    """Anchors of a page's titles, as GitHub makes them: without punctuation."""
    titles = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


def test_linked_sections_exist() -> None:
    for page in PAGES:
        for target, section in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
            assert section in sections(page.parent / target if target else page), f"{page.name}: {target}#{section}"


def test_named_search_spaces_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"search_spaces/\w+\.yaml", page.read_text(encoding="utf-8")):
            assert (TOP / name).is_file(), f"{page.name}: {name}"


def test_readme_opens_with_exactly_two_set_up_commands() -> None:
    commands = re.findall(r"^python3 -m venv .*$", (TOP / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith("-m ndvq_tune.search --space search_spaces/video3d.yaml")
    assert commands[1].endswith("-m pytest -n 2")


def examples() -> list[tuple[str, str]]:
    """Those of spaces, or of parts of one."""
    return [
        (page.name, example)
        for page in PAGES
        for example in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        if sections_of(example).isdisjoint(OTHER_FORMATS)
    ]


def sections_of(example: str) -> set[str]:
    return set(yaml.safe_load(example))


@pytest.mark.parametrize(("page", "example"), [found for found in examples() if sections_of(found[1]) == {"data"}])
def test_examples_of_data_are_valid(page: str, example: str) -> None:
    data: DataConfig = TypeAdapter(DataConfig).validate_python(yaml.safe_load(example)["data"])
    augmentation(data)


@pytest.mark.parametrize(("page", "example"), [found for found in examples() if sections_of(found[1]) != {"data"}])
def test_examples_of_spaces_are_valid_once_they_have_a_name(page: str, example: str, tmp_path: Path) -> None:
    file = tmp_path / page
    file.write_text(example if "name" in sections_of(example) else f"name: example\n{example}", encoding="utf-8")
    check(SearchSpace.load(file))


def test_the_page_on_data_has_a_section_for_every_type() -> None:
    union, _ = get_args(DataConfig)
    assert {get_args(kind)[0] for kind in get_args(union)} == set(OWN_SETTINGS.values())


@pytest.mark.parametrize(("title", "kind"), OWN_SETTINGS.items(), ids=OWN_SETTINGS)
def test_the_page_on_data_names_every_setting_with_its_default(title: str, kind: type[FolderData]) -> None:
    shared = [name for name, base in SHARED_SETTINGS.items() if issubclass(kind, base)]
    shown = {name: default for section in [*shared, title] for name, default in settings_in(section)}
    assert shown == {name: default_text(field) for name, field in kind.model_fields.items() if name != "type"}


def settings_in(section: str) -> list[tuple[str, str]]:
    (content,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", DATA_PAGE, re.MULTILINE | re.DOTALL)
    (table,) = re.findall(r"^\| setting \| default \| meaning \|\n(.*?)(?=^[^|])", content, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\| `(\w+)` \| (.*?) \|", table, re.MULTILINE)


def default_text(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "not set" if field.default is None else f"`{field.default}`"
