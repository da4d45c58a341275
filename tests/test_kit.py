"""What is around the package fits together: make targets, versions, and what automation runs."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOP = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = sorted((TOP / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([\w-]+):", (TOP / "Makefile").read_text("utf-8"), re.MULTILINE))
INSTALLED = ("array", "docs", "remote", "dev")  # the extras of a set-up for developers


def requirements(*extras: str) -> list[Requirement]:
    listed = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    return [one for one in map(Requirement, listed) if one.name != PROJECT["name"]]


def pins(file: str) -> dict[str, Version]:
    lines = [line for line in (TOP / file).read_text("utf-8").splitlines() if not line.startswith("#")]
    found = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines]
    assert all(found), f"{file}: only name==version, and comments"
    return {canonicalize_name(pin[1]): Version(pin[2]) for pin in found if pin}


def workflow_targets(workflow: Path) -> Iterator[str]:
    """Make targets of a workflow, those of its matrix too."""
    for job in yaml.safe_load(workflow.read_text("utf-8"))["jobs"].values():
        for row in job.get("strategy", {}).get("matrix", {}).get("include", ()):
            yield from row["targets"].split()
        for step in job["steps"]:
            if (command := step.get("run", "")).startswith("make ") and "matrix" not in command:
                yield from shlex.split(command)[1:]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_make_targets_that_exist(workflow: Path) -> None:
    targets = set(workflow_targets(workflow))
    assert targets
    assert targets <= TARGETS


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md", ".ci/run", ".pre-commit-config.yaml"])
def test_named_make_targets_exist(page: str) -> None:
    text = (TOP / page).read_text("utf-8")
    commands = re.findall(r"(?:`|^|entry: )make ([a-z][a-z -]*)", text, re.MULTILINE)
    assert {target for command in commands for target in command.split()} <= TARGETS


@pytest.mark.parametrize("requirement", requirements(*INSTALLED), ids=str)
def test_the_fixed_version_is_in_the_range(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins("constraints.txt")[canonicalize_name(requirement.name)])


def test_the_lowest_versions_are_where_the_ranges_begin() -> None:
    begins = {
        canonicalize_name(requirement.name): Version(bound.version)
        for requirement in requirements("array", "remote")
        for bound in requirement.specifier
        if bound.operator in (">=", "==")
    }
    assert pins("constraints-lowest.txt") == begins


def test_a_citation_names_this_version() -> None:
    assert yaml.safe_load((TOP / "CITATION.cff").read_text("utf-8"))["version"] == PROJECT["version"]
