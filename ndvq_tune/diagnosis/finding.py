"""What a diagnosis says: a verdict, and findings with their evidence and a change that can be run."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml


class Verdict(StrEnum):
    """What is to be thought of the recommended model; the gravest that applies."""

    NOT_BETTER = "not better than a plain baseline"
    OVERFITTED = "overfitted"
    UNFINISHED = "unfinished"
    TOO_LITTLE_DATA = "too little data to say"
    READY = "ready"


class Confidence(StrEnum):
    """How far a finding can be trusted.

    ``high``: it was measured, or chance would do it less than once in a thousand times. ``medium``: healthy recorded
    trainings hardly ever look like that, or chance would do it less than once in a hundred times. ``low``: a hint, of
    few numbers.
    """

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True)
class Evidence:
    """The number that a finding rests on.

    Attributes:
        figure: What it is.
        value: Its value.
        threshold: The bound that it is beyond.
        trial: Name of the trial that it is of; None for a number of the whole search.
    """

    figure: str
    value: float
    threshold: float
    trial: str | None = None


class Start(StrEnum):
    """What a change is tried with."""

    SEARCH = "a new search"
    RESUME = "the same search, which goes on"
    TRAIN = "one training of the recommended model"


@dataclass(frozen=True)
class Change:
    """A change that can be run.

    Attributes:
        settings: Values, or distributions as YAML has them, by full key path.
        start: What is run with them.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    start: Start = Start.SEARCH

    @property
    def options(self) -> str:
        """The options of the command.

        Example:
            >>> Change({"training.max_epochs": 48, "model.codebook_beta": {"uniform": [0.1, 0.5]}}).options
            "--set training.max_epochs=48 --set 'model.codebook_beta={uniform: [0.1, 0.5]}'"
        """
        pairs = (f"{key}={_in_yaml(value)}" for key, value in self.settings.items())
        return shlex.join(word for pair in pairs for word in ("--set", pair))

    def command(self, folder: Path) -> str:
        """The command that runs it, for people to paste.

        Args:
            folder: The results folder of the search, as one types it.

        Example:
            >>> Change({"search.trials": 32}, Start.RESUME).command(Path("runs/mine"))
            'python -m ndvq_tune.search --resume --output runs/mine --set search.trials=32'
        """
        arguments = {
            Start.SEARCH: ("search", "--space", folder / "space.yaml", "--name", f"{folder.name}-next"),
            Start.RESUME: ("search", "--resume", "--output", folder),
            Start.TRAIN: ("train", "--config", folder / "best.yaml", "--output", f"{folder}-trained"),
        }
        name, *options = map(str, arguments[self.start])
        return " ".join(filter(None, [shlex.join(["python", "-m", f"ndvq_tune.{name}", *options]), self.options]))


@dataclass(frozen=True)
class Finding:
    """One sign that was found.

    Attributes:
        rule: Name of the rule.
        sign: What was seen, in a sentence without its full stop.
        evidence: The number behind it.
        confidence: How far it can be trusted.
        advice: What to do, in a sentence without its full stop.
        change: The first thing to try of that; None where no setting would help.
        verdict: What it makes of the recommended model; None where it takes nothing away from that.
    """

    rule: str
    sign: str
    evidence: Evidence
    confidence: Confidence
    advice: str
    change: Change | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Diagnosis:
    """What is to be thought of a search.

    Attributes:
        verdict: On the recommended model; None where there is none.
        why: The reason in a sentence.
        findings: What was found, the most important first.
    """

    verdict: Verdict | None
    why: str
    findings: tuple[Finding, ...] = ()

    @property
    def first(self) -> Finding | None:
        """What to do first: the most important finding with a change that can be run, else the most important."""
        return next((finding for finding in self.findings if finding.change), next(iter(self.findings), None))


def _in_yaml(value: Any) -> str:
    """A value as YAML on one line; JSON would write ``1e-05``, which YAML takes for a word."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).splitlines()[0]
