"""The commands that the documentation shows exist and take the options that it shows."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("*.md"))]
COMMAND = re.compile(r"python -m (ndvq_tune\.\w+|benchmarks\.\w+)([^`\n#|]*)")


def shown_commands() -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (page.name, module, tuple(re.findall(r"(?<!\S)--[a-z-]+", options)))
        for page in PAGES
        for module, options in COMMAND.findall(page.read_text(encoding="utf-8").replace("\\\n", " "))
    ]


@cache
def help_of(module: str) -> str:
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, cwd=TOP, check=True)
    return done.stdout


@pytest.mark.parametrize(("page", "module", "options"), shown_commands())
def test_shown_commands_and_their_options_exist(page: str, module: str, options: tuple[str, ...]) -> None:
    missing = [option for option in options if option not in help_of(module)]
    assert not missing, f"{page}: {module} has no {missing}"


def test_linked_files_exist() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_readme_opens_with_exactly_two_set_up_commands() -> None:
    commands = re.findall(r"^python3 -m venv .*$", (TOP / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith("-m ndvq_tune.search --space search_spaces/video3d.yaml")
    assert commands[1].endswith("-m pytest")
