"""What a search can do beyond its spine, each in a real, tiny search."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from optuna.trial import FrozenTrial

from ndvq_tune import load_model
from tests.end_to_end import states
from tests.end_to_end.workplace import TINY, Workplace

pytestmark = pytest.mark.ray

# Trials that end well, in the lanes' own processes.
SOUND = {"training.loss.spectral_weight": 0, "training.learning_rate": 1e-3}
POPULATION, LANES = 4, 2
# Beside a rate that learns stands one that hardly does: whoever takes over from a member that learns hardly goes on.
LEARNING_RATES = [1e-2, 1e-7, 1e-6, 5e-3]
HARDLY = 1e-5
ONE_MODEL = {
    "model__n_codes": 16,
    "model__downsample": [4, 4, 4],
    "model__embedding_dim": 4,
    "model__attention__type": "none",
}


def searched(folder: Path, cache: Path, lanes: int, **settings: Any) -> Workplace:
    """A tiny search that has ended; settings by key path, with two underscores for each dot."""
    workplace = Workplace(folder, cache)
    changes = {**SOUND, "search.resources": {"workers_per_trial": 0, "cpus_per_worker": 1, "lanes": lanes}}
    changes |= {key.replace("__", "."): value for key, value in settings.items()}
    given = [part for key, value in changes.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    done = workplace.run("--space", str(TINY), *given)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "log").write_text(done.stdout)
    return workplace


def reports_of(trial: FrozenTrial) -> list[dict[str, float]]:
    return [value for key, value in sorted(trial.user_attrs.items()) if key.startswith("report:")]


def inherited_by(heir: FrozenTrial, source: FrozenTrial) -> dict[str, float]:
    """The last report of another trial before an heir goes on from it."""
    return reports_of(source)[int(reports_of(heir)[0]["epoch"]) - epochs_of(source)[0] - 1]


def epochs_of(trial: FrozenTrial) -> list[int]:
    return [int(report["epoch"]) for report in reports_of(trial)]


def summary_of(workplace: Workplace) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((workplace.results / "summary.json").read_text())
    return summary


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Workplace:
    """Two members that learn, then two that hardly do."""
    return searched(
        tmp_path_factory.mktemp("population"),
        cache,
        LANES,
        search__scheduler={"type": "pbt", "interval": 1, "quantile": 0.5, "resample": 0},
        search__trials=POPULATION,
        search__sampler={"type": "grid"},
        search__seed=16,
        search__stop={"plateau": None, "collapse": None},
        training__max_epochs=4,
        training__batch_size=4,
        training__learning_rate={"choice": LEARNING_RATES},
        **ONE_MODEL,
    )


def test_a_member_of_a_population_that_is_exploited_ends_everywhere(population: Workplace) -> None:
    trials = {trial.number: trial for trial in states.optuna_trials(population.results)}
    exploited = {number for number, trial in trials.items() if trial.user_attrs.get("stop_reason") == "exploited"}
    assert exploited
    _, runs = states.mlflow_runs(population.folder)
    in_tune = states.tune_results(population.results)
    for number in exploited:
        assert trials[number].state.name == "PRUNED"
        assert (runs[number].info.status, runs[number].data.tags["stop_reason"]) == ("FINISHED", "exploited")
        assert (in_tune[number][0], in_tune[number][1]["stop_reason"]) == ("TERMINATED", "exploited")
    optuna_states = states.optuna_states(population.results)
    assert optuna_states == states.mlflow_states(population.folder) == states.tune_states(population.results)
    assert set(optuna_states.values()) == {"completed", "pruned"}
    assert Counter(optuna_states.values())["completed"] == POPULATION


def test_an_heir_goes_on_from_the_weights_of_a_better_member_with_other_settings(population: Workplace) -> None:
    trials = {trial.number: trial for trial in states.optuna_trials(population.results)}
    heirs = [trial for trial in trials.values() if trial.user_attrs.get("origin", {}).get("role") == "exploit"]
    exploited = [trial for trial in trials.values() if trial.user_attrs.get("stop_reason") == "exploited"]
    assert len(heirs) == len(exploited) >= 1
    parent_run, runs = states.mlflow_runs(population.folder)
    for heir in heirs:
        source = trials[heir.user_attrs["origin"]["parent"]]
        run = runs[heir.number]
        assert run.data.tags["parent_trial"] == f"trial-{source.number:04d}"
        assert run.data.tags["role"] == "exploit"
        assert run.data.tags["mlflow.parentRunId"] == parent_run.info.run_id
        assert run.data.params["learning_rate"] != runs[source.number].data.params["learning_rate"]
        first = reports_of(heir)[0]
        inherited = inherited_by(heir, source)
        assert inherited["epoch"] == first["epoch"] - 1 >= 1
        assert inherited["seconds"] < first["seconds"]


def test_an_heir_that_hardly_learns_is_as_good_as_the_member_it_goes_on_from(population: Workplace) -> None:
    trials = {trial.number: trial for trial in states.optuna_trials(population.results)}
    hardly = [trial for trial in trials.values() if trial.user_attrs["config"]["training"]["learning_rate"] < HARDLY]
    heirs = [trial for trial in hardly if "parent" in trial.user_attrs.get("origin", {})]
    untrained = min(reports_of(trial)[0]["recon_loss"] for trial in hardly if trial not in heirs)
    assert heirs
    for heir in heirs:
        inherited = inherited_by(heir, trials[heir.user_attrs["origin"]["parent"]])["recon_loss"]
        margin = 0.25 * (untrained - inherited)  # the codebook moves a little without any rate
        assert reports_of(heir)[0]["recon_loss"] == pytest.approx(inherited, abs=margin)


def test_a_population_advances_together(population: Workplace) -> None:
    """Nobody begins an epoch before all others have done the one before, but for those that are on another lane."""
    reached: list[tuple[float, int]] = []  # when a member had an epoch behind it
    for trial in states.optuna_trials(population.results):
        seconds = {epoch: report["seconds"] for epoch, report in zip(epochs_of(trial), reports_of(trial), strict=True)}
        first = min(seconds)
        reached += [(at, epoch) for epoch, at in seconds.items()]
        reached += [(seconds[first], epoch) for epoch in range(1, first)]  # what an heir inherits
    for at, epoch in reached:
        others = [before for when, before in reached if when <= at and before == epoch - 1]
        assert epoch == 1 or len(others) >= POPULATION - (LANES - 1)


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> list[Workplace]:
    """Under a bit budget, small samples first, the best repeated; the same search twice."""
    return [
        searched(
            tmp_path_factory.mktemp("bounded"),
            cache,
            1,
            search__trials=5,
            search__seed=0,
            search__sampler={"startup_trials": 2},
            search__constraints=[{"metric": "bits_per_element", "at_most": 0.1}],
            search__fidelity={"resolution": [8, 16], "promote_after": [1]},
            search__confirm={"top": 1, "seeds": 2},
        )
        for _ in range(2)
    ]


def roles(workplace: Workplace, role: str) -> list[FrozenTrial]:
    trials = states.optuna_trials(workplace.results)
    return [trial for trial in trials if trial.user_attrs.get("origin", {}).get("role", "search") == role]


def test_what_breaks_the_bit_budget_is_never_trained_but_counted(bounded: list[Workplace]) -> None:
    results = bounded[0].results
    rejected = [point for point in states.optuna_points(results) if "started" not in point.user_attrs]
    too_many_bits = [point for point in rejected if point.constraints.get("bits_per_element", 0) > 0]
    assert too_many_bits
    assert not any(point.intermediate_values for point in rejected)
    summary = summary_of(bounded[0])
    assert summary["rejected"]["bits_per_element"] == len(too_many_bits)
    assert summary["trials"]["rejected"] == len(rejected)
    for trial in states.optuna_trials(results):
        assert trial.constraints["bits_per_element"] <= 0
        assert all(report["bits_per_element"] <= 0.1 for report in reports_of(trial))


def test_the_best_trial_is_repeated_in_full_with_other_seeds(bounded: list[Workplace]) -> None:
    repetitions = roles(bounded[0], "confirm")
    summary = summary_of(bounded[0])
    (confirmed,) = summary["confirmed"]
    assert len(repetitions) == summary["trials"]["repetitions"] == 2
    (original,) = {trial.user_attrs["origin"]["parent"] for trial in repetitions}
    assert confirmed["trial"] == f"trial-{original:04d}"
    assert (confirmed["seeds"], confirmed["lost"]) == (3, 0)  # the trial itself is one of them
    (repeated,) = [trial for trial in states.optuna_trials(bounded[0].results) if trial.number == original]
    full = [[one for one in reports_of(trial) if one["fidelity"] == 1] for trial in (repeated, *repetitions)]
    losses = [min(report["recon_loss"] for report in reports) for reports in full]  # of the weights that each keeps
    assert len(set(losses)) == 3
    assert confirmed["mean"] == pytest.approx(sum(losses) / 3)
    seeds = {trial.user_attrs["config"]["training"]["seed"] for trial in (repeated, *repetitions)}
    assert len(seeds) == 3
    for trial in repetitions:
        assert trial.state.name == "COMPLETE"
        assert epochs_of(trial) == [1, 2, 3]
        assert trial.user_attrs["params"] == repeated.user_attrs["params"]


def test_trials_begin_with_small_samples_and_end_with_a_model_of_full_ones(bounded: list[Workplace]) -> None:
    trials = states.optuna_trials(bounded[0].results)
    for trial in trials:
        fidelity = [report["fidelity"] for report in reports_of(trial)]
        assert fidelity == [0.25, 1.0, 1.0][: len(fidelity)]
        assert all(math.isfinite(report["recon_loss"]) for report in reports_of(trial))
    best = summary_of(bounded[0])["best"]
    assert best["metrics"]["fidelity"] == 1.0
    model = load_model(bounded[0].results / best["checkpoint"])
    assert model.input_shape == (3, 4, 16, 16)
    with torch.no_grad():
        recon_loss, x_recon, _ = model(torch.rand(2, 3, 4, 16, 16))
    assert x_recon.shape == (2, 3, 4, 16, 16)
    assert math.isfinite(recon_loss.item())


def test_the_same_seed_on_one_lane_gives_the_same_configurations(bounded: list[Workplace]) -> None:
    first, second = (
        [(trial.number, trial.state.name, trial.user_attrs["params"]) for trial in states.optuna_trials(run.results)]
        for run in bounded
    )
    assert first == second
    assert len(first) == 7


@pytest.mark.parametrize("action", ["lower_beta", "restart_codes"])
def test_a_codebook_that_collapses_is_rescued_once_and_stops_the_trial_the_second_time(
    tmp_path: Path, cache: Path, action: str
) -> None:
    # By such a bound every codebook is dead, and so it is again after the rescue.
    collapse = {"perplexity_below": 1e9, "after": 1, "on_collapse": action}
    workplace = searched(tmp_path, cache, 1, search__trials=1, search__stop={"collapse": collapse}, **ONE_MODEL)
    (trial,) = states.optuna_trials(workplace.results)
    assert trial.user_attrs["rescues"] == [[1, action]]
    assert epochs_of(trial) == [1, 2]
    assert (trial.state.name, trial.user_attrs["stop_reason"]) == ("PRUNED", "collapse")
    (run,) = states.mlflow_runs(tmp_path)[1].values()
    assert run.data.tags["rescues"] == f"{action}@1"
    assert run.data.tags["stop_reason"] == "collapse"
    assert states.tune_states(workplace.results) == {0: "pruned"}
    assert f"trial-0000: its codebook has collapsed; rescue: {action}" in workplace.log
