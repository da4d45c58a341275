"""What the findings of a diagnosis ask of a space. Pure functions.

A sign in one trial is worth a try: the space gets room for the value, and that trial with the value comes first. What
all trials say decides.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ndvq_tune.diagnosis.finding import Finding, Start
from ndvq_tune.distributions import KINDS, Choice, Distribution, Searched, parse
from ndvq_tune.records import TrialRecord
from ndvq_tune.search.space import SearchSpace


def asked_of(findings: Sequence[Finding]) -> dict[str, Finding]:
    """Each setting that a new space can follow, with the finding that asks for it: the most important that does.

    What goes on with the search as it is asks nothing of a new space.

    Args:
        findings: The findings, the most important first.
    """
    asked: dict[str, Finding] = {}
    for finding in findings:
        if finding.change and finding.change.start is not Start.RESUME:
            asked = dict.fromkeys(finding.change.settings, finding) | asked
    return asked


def value_asked(finding: Finding, key: str) -> Any:
    """What a finding wants a setting to be: a value, or a distribution as YAML has it."""
    return finding.change.settings[key] if finding.change else None


def followed(finding: Finding, old: Searched, now: Distribution) -> Distribution | None:
    """What a parameter is drawn from once a finding is followed; None where there is room for that already.

    Of a distribution only what goes beyond the old one is taken: it knows nothing of the best trials.

    Args:
        finding: The finding.
        old: The parameter as it was searched.
        now: What it would be drawn from otherwise.
    """
    asked = value_asked(finding, old.key)
    if isinstance(asked, Mapping):
        (kind,) = asked.keys() & set(KINDS)
        missing = [value for value in parse(kind, asked[kind]).probes if value not in old.distribution]
    elif finding.evidence.trial is None:
        return Choice((asked,))
    else:
        missing = [asked] if asked not in now else []
    for value in missing:
        now = now.including(value)
    return now if missing else None


def to_try_first(space: SearchSpace, trials: Sequence[TrialRecord], finding: Finding, key: str) -> dict[str, Any]:
    """The trial in which a sign was found, with the value that this asks for, as far as a space searches that.

    Args:
        space: The space, in which the finding is followed.
        trials: The trials.
        finding: The finding.
        key: The setting.

    Returns:
        Values by key path; nothing where the sign is none of a trial, or nothing is to be tried.
    """
    searched = {parameter.key: parameter.distribution for parameter in space.searched}
    of_trial = next((trial.params for trial in trials if trial.name == finding.evidence.trial), None)
    value = value_asked(finding, key)
    if of_trial is None or key not in searched or value not in searched[key]:
        return {}
    return {name: old for name, old in of_trial.items() if name in searched and old in searched[name]} | {key: value}


def reason_of(finding: Finding) -> str:
    """Which finding it is, how far it can be trusted, and what was seen."""
    trial = f"{finding.evidence.trial}, " if finding.evidence.trial else ""
    return f"{finding.rule} ({trial}{finding.confidence} confidence): {finding.sign}"
