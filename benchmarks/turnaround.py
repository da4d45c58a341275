"""``python -m benchmarks.turnaround``: how long a warm lane takes from one trial to the next.

Runs a real search of many one-epoch trials of a tiny model on one lane, and looks at the times between their reports.
Each includes the decision, the record in Optuna and MLflow, the next trial's model, its first steps and its validation:
an upper bound on the time from the end of one trial to the first step of the next.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import pandas as pd

SPACE = """
name: turnaround
data: {type: video, clip_length: 4, clip_stride: 64, resolution: 16}
model: {n_codes: {choice: [16, 32]}, embedding_dim: 2, downsample: [4, 8, 8], n_hiddens: 4, n_res_layers: 0}
training: {learning_rate: {log_uniform: [1.0e-4, 1.0e-2]}, max_epochs: 1}
search: {resources: {lanes: 1}, sampler: {type: random}}
"""


def report_times(trials: int, workers: int) -> list[float]:
    """Seconds from the start of the search to each report, of trials that have one each."""
    with tempfile.TemporaryDirectory() as folder:
        space = Path(folder, "space.yaml")
        space.write_text(SPACE)
        options = ["--trials", str(trials), "--set", f"search.resources.workers_per_trial={workers}"]
        command = [sys.executable, "-m", "ndvq_tune.search", "--space", str(space), *options]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        curves = pd.read_parquet(Path(folder, "runs", "turnaround", "curves.parquet"))
    return sorted(float(seconds) for seconds in curves["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=24)
    trials = parser.parse_args().trials
    for workers in (1, 0):
        times = report_times(trials, workers)
        between = [later - earlier for earlier, later in pairwise(times)]
        print(
            f"workers_per_trial {workers}: first report after {times[0]:.1f} s; from report to report "
            f"median {statistics.median(between):.3f} s, longest {max(between):.3f} s of {len(between)}"
        )


if __name__ == "__main__":
    main()
