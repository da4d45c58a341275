"""What was found, and why it is the one to take, in words."""

from collections.abc import Sequence

from ndvq_tune.diagnosis.finding import Diagnosis
from ndvq_tune.goals import Constraint, Goals
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.metrics import METRICS
from ndvq_tune.records import Role, StopReason, TrialRecord
from ndvq_tune.report.wording import listed, metric_text, probability_text, sentence, verdict_text

_NOUNS = {"recon_loss": "reconstruction loss", "psnr": "PSNR"}
_STOPPED_BY = {
    StopReason.SCHEDULER: "others were better at the same point",
    StopReason.COLLAPSE: "codebook collapse",
    StopReason.PLATEAU: "no more progress",
    StopReason.TIME_BUDGET: "the search's time was up",
    StopReason.TRIAL_TIME: "its time was up",
    StopReason.COST: "it cost as much as a trial may",
    StopReason.EXPLOITED: "another trial took its place",
    StopReason.SEARCH_ENDED: "the search ended",
}
_COUNTED = ("bits_per_element", "entropy_bits_per_element", "parameters", "peak_memory_bytes", "samples_per_second")


def finding(standing: Standing) -> str:
    """The recommended trial, how good it is, and why it is recommended."""
    winner = standing.best
    if winner is None:
        return "No trial has led to a model yet."
    values = winner.result
    text = f"{winner.name} is the one to take: " if len(standing.search.trials) > 1 else f"{winner.name}: "
    parts = [f"reconstruction loss {metric_text('recon_loss', values.get('recon_loss'))}"]
    if winner.finite("psnr"):
        parts[0] += f" ({metric_text('psnr', values['psnr'])} dB)"
    if winner.finite("bits_per_element"):
        parts[0] += f" at {metric_text('bits_per_element', values['bits_per_element'])} bits per element"
    if winner.finite("codebook_usage"):
        parts.append(f"{metric_text('codebook_usage', values['codebook_usage'])} of its codes in use")
    return f"{text}{', with '.join(parts)}. {reason(standing)}".rstrip()


def description(standing: Standing, diagnosis: Diagnosis) -> str:
    """The recommendation, the verdict, and every finding with what to do, as Markdown."""
    findings = [f"- {sentence(found.sign)} {sentence(found.advice)}" for found in diagnosis.findings]
    return "\n\n".join(filter(None, [finding(standing), f"**{verdict_text(diagnosis)}**", "\n".join(findings)]))


def reason(standing: Standing) -> str:
    """Why the recommended trial is the one to take, in a few sentences; empty where there was no choice to explain."""
    winner = standing.best
    if winner is None:
        return ""
    place = _among_all if len(standing.search.goals.objectives) == 1 else _on_the_front
    sentences = (
        place(standing, winner),
        _in_doubt(standing),
        _finished(standing, winner),
        _stopped(winner),
        _repeated(standing, winner),
        _within_bounds(standing, winner),
    )
    return " ".join(sentence for sentence in sentences if sentence)


def _among_all(standing: Standing, winner: TrialRecord) -> str:
    """Its place by the one objective, as the table of the trials has it; repetitions may have chosen another one."""
    trials = standing.offered
    if len(trials) == 1 or standing.costs(winner) > min(standing.costs(trial) for trial in trials):
        return ""
    return f"It has the {_best_of(standing.search.goals)} of {len(trials)} trials."


def _on_the_front(standing: Standing, winner: TrialRecord) -> str:
    """What it gives up against the best in the first objective, and what for."""
    front, values, goals = standing.front, standing.judged, standing.search.goals
    if len(front) == 1:
        return "It is the best in every objective." if len(standing.offered) > 1 else ""
    knee = f"It is the knee of a front of {len(front)} trials"
    first = min(front, key=lambda trial: goals.costs(values[trial.number]))
    if first is winner:
        return f"{knee}, and has the {_best_of(goals)} of them."
    worse: list[str] = []
    better: list[str] = []
    for objective in goals.objectives:
        value, base = (values[trial.number][objective.metric] for trial in (winner, first))
        if value != base:
            side = better if objective.cost(value) < objective.cost(base) else worse
            side.append(_change(objective.metric, value, base))
    return f"{knee}: {listed(worse)} than the best ({first.name}), for {listed(better)}."


def _stopped(winner: TrialRecord) -> str:
    return f"It was stopped early ({_STOPPED_BY[winner.stop_reason]})." if winner.stop_reason in _STOPPED_BY else ""


def _finished(standing: Standing, winner: TrialRecord) -> str:
    """That it was trained to its end, or that this made it no better."""
    if winner.role is Role.FINISH:
        return f"It is {winner.parent_name}, trained to its end."
    ends = (trial for trial in standing.search.trials if trial.role is Role.FINISH and trial.parent == winner.number)
    return next(
        (f"Trained on to its end, as {trial.name}, it did not get better." for trial in ends if trial.state.final), ""
    )


def _in_doubt(standing: Standing) -> str:
    """Which of its leads its test samples are too few for."""
    if not standing.in_doubt:
        return ""
    others = [f"{lead.over.name} ({lead.share:.1%} ± {lead.margin:.1%})" for lead in standing.in_doubt]
    one = len(others) == 1
    return (
        f"Its {'lead' if one else 'leads'} in reconstruction loss over {listed(others)} may be chance: "
        "more test samples would tell, and search.confirm repeats the best with other seeds."
    )


def _repeated(standing: Standing, winner: TrialRecord) -> str:
    """What became of it with other seeds, and, where that is what it was chosen by, how sure the choice is."""
    repeated = {item.trial.number: item for item in standing.confirmed}
    if winner.number not in repeated:
        return ""
    own, (name, *others) = repeated[winner.number], standing.search.goals.metrics
    text = f"With {own.seeds} seeds its {noun(name)} is {metric_text(name, own.means[0])} on average"
    if own.seeds > 1:
        text += f", with a spread of {metric_text(name, own.spread)}"
    if not others and len(repeated) > 1 and own.seeds > 1:
        sure = probability_text(own.probability)
        text += f"; it is the best of the {len(repeated)} that were repeated (probability {sure})"
    return text + "."


def _within_bounds(standing: Standing, winner: TrialRecord) -> str:
    """Which constraints it keeps, and how many trials do not."""
    goals, trials = standing.search.goals, standing.eligible
    if not goals.constraints:
        return ""
    if breaks := goals.broken(winner.result):
        return f"No trial keeps every constraint; this one does not keep {_bounds(breaks)}."
    others = sum(not standing.keeps(trial) for trial in trials)
    do = "does" if others == 1 else "do"
    rest = f"which {others} of {len(trials)} trials {do} not" if others else "as all trials do"
    return f"It keeps {_bounds(goals.constraints)}, {rest}."


def _best_of(goals: Goals) -> str:
    first = goals.objectives[0]
    return f"{'lowest' if first.mode == 'min' else 'highest'} {noun(first.metric)}"


def _bounds(constraints: Sequence[Constraint]) -> str:
    return listed([
        f"{noun(c.metric)} {c.side.replace('_', ' ')} {metric_text(c.metric, c.bound)}" for c in constraints
    ])  # fmt: skip


def _change(metric: str, value: float, base: float) -> str:
    """How a value differs from another, such as ``12% higher reconstruction loss``; in dB where that is the unit."""
    more, less = ("more", "fewer") if metric in _COUNTED else ("higher", "lower")
    step = abs(value - base)
    if METRICS[metric].unit == "dB" or base <= 0:
        amount = metric_text(metric, step) + (" dB" if METRICS[metric].unit == "dB" else "")
    else:
        amount = f"{100 * step / base:.0f}%" if step >= 0.01 * base else "less than 1%"
    return f"{amount} {more if value > base else less} {noun(metric)}"


def noun(metric: str) -> str:
    """A metric in the words of a sentence: ``reconstruction loss``."""
    return _NOUNS.get(metric, metric.replace("_", " "))
