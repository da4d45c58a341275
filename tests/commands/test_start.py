"""What is not imported before it is needed. Names of modules, not times: these take seconds, one by one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "ray", "mlflow", "optuna", "pandas", "plotly", "matplotlib", "sklearn", "av"}
COMMANDS = ("search", "train", "tokenize", "reconstruct", "evaluate", "data", "report", "refine", "schema")
REPOSITORY = Path(__file__).parents[2]
VIDEO = str(REPOSITORY / "search_spaces" / "video3d.yaml")
_RUN = """
import json, runpy, sys
module, *sys.argv[1:] = sys.argv[1:]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    code = 0
except SystemExit as end:
    code = end.code or 0
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def started(module: str, *arguments: str, folder: Path) -> tuple[int, set[str], str]:
    """Exit code, top-level modules that were imported, and what was printed as an error."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, module, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    return code, set(modules), done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command, tmp_path):
    code, modules, _ = started(f"ndvq_tune.{command}", "--help", folder=tmp_path)
    assert code == 0
    assert not modules & (HEAVY | {"numpy", "pydantic"})


def test_the_common_command_imports_no_more_than_its_parts(tmp_path):
    done = subprocess.run(
        [Path(sys.executable).with_name("ndvq-tune"), "--help"], capture_output=True, text=True, check=True
    )
    assert all(f" {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    ("module", "arguments", "told"),
    [
        ("search", ["--space", VIDEO, "--set", "model.n_code=3"], "did you mean 'n_codes'?"),
        ("search", ["--space", "none.yaml"], "none.yaml: cannot be read"),
        ("search", ["--space", VIDEO, "--time-budget", "soon"], "'soon' given"),
        ("search", ["--space", VIDEO, "--output", "full"], "is not empty"),
        ("search", ["--resume", "--output", "full"], "holds no search to resume"),
        ("search", ["--space", VIDEO, "--set", "search.sampler.type=grid"], "grid tries every value"),
        ("search", ["--space", VIDEO, "--warm-start", "full", "--resume"], "is for a new search"),
        ("train", ["--config", "none.yaml", "--output", "model"], "none.yaml: cannot be read"),
        ("train", ["--config", VIDEO, "--output", "model"], "is a search space"),
        ("data", ["info", "--type", "vidio"], "vidio"),
        ("data", ["preview"], "--space"),
        ("data", ["clear", "--older-than", "-1"], "should be greater than or equal to 0"),
        ("refine", ["full", "--keep", "2"], "needs a share above 0"),
        ("schema", ["--output", "."], "is a directory"),
    ],
)
def test_a_mistake_is_answered_before_anything_heavy_is_imported(module, arguments, told, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    code, modules, error = started(f"ndvq_tune.{module}", *arguments, folder=tmp_path)
    assert code == 2
    assert told in " ".join(error.replace("│", " ").split())
    assert "Traceback" not in error
    assert not modules & HEAVY


def test_the_cache_is_shown_without_torch(tmp_path, monkeypatch):
    monkeypatch.setenv("NDVQ_TUNE_CACHE", str(tmp_path / "cache"))
    code, modules, _ = started("ndvq_tune.data", "info", folder=tmp_path)
    assert code == 0
    assert not modules & HEAVY


def test_the_package_itself_imports_nothing(tmp_path):
    code = "import sys, json, ndvq_tune; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in json.loads(done.stdout)} & (HEAVY | {"numpy", "pydantic"})


def test_a_tokenizer_is_loaded_without_ray_mlflow_and_optuna(tmp_path):
    code = "import sys, json; from ndvq_tune import load_model; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    modules = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "torch" in modules
    assert not modules & {"ray", "mlflow", "optuna", "plotly", "matplotlib"}
