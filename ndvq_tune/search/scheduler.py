"""When a trial ends: Ray Tune's scheduler on top of our stopping rules and ASHA."""

from typing import Any

from ray.tune import TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from ndvq_tune.metrics import METRICS
from ndvq_tune.records import StopReason, TrialRecord, TrialState, number_of
from ndvq_tune.search.settings import SearchSettings
from ndvq_tune.search.stopping import stop_reason
from ndvq_tune.search.study import Study

Verdict = tuple[TrialState, StopReason | None, str | None]


class EarlyStopping(FIFOScheduler):
    """Writes every report to the study, then decides whether the trial goes on.

    In this order: an error fails it; the rules for divergence, collapse and plateau prune it; its last epoch completes
    it; ASHA prunes it. Tune calls ``on_trial_add`` for each trial, also for those of an earlier session, and their
    reports are replayed there, so ASHA's rungs are those of the whole search.

    Args:
        study: The study.
        settings: Settings of the search.
        max_epochs: Most epochs of any trial.
    """

    def __init__(self, study: Study, settings: SearchSettings, max_epochs: int) -> None:
        super().__init__()
        self._study, self._settings = study, settings
        self._asha = _asha(settings, max_epochs)
        self._verdicts: dict[int, Verdict] = {}
        self._failed: list[tuple[Any, Trial]] = []

    def settle(self) -> None:
        """End the trials of an earlier session that had come to their end when its driver was killed."""
        for record in self._study.records:
            saved = record.reports and record.metrics["epoch"] == record.checkpoint_epoch
            if not record.state.final and saved and (verdict := self._ended(record)):
                self._study.finish(record.number, *verdict)

    def verdict(self, number: int) -> Verdict:
        """How a trial that has been stopped ended."""
        return self._verdicts[number]

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Put a trial on ASHA's rungs, with the reports that it has."""
        self._asha.on_trial_add(tune_controller, trial)
        record = self._study.record(number_of(trial.trial_id))
        # A report that ended its trial by another rule never came to ASHA.
        judged = record.reports[:-1] if record.reports and self._ended(record) else record.reports
        for report in judged:
            self._asha.on_trial_result(tune_controller, trial, dict(report))

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Note a report and decide."""
        verdict = self._judge(tune_controller, trial, result)
        if verdict is None:
            return str(TrialScheduler.CONTINUE)
        self._verdicts[number_of(trial.trial_id)] = verdict
        if verdict[0] is TrialState.FAILED:
            self._failed.append((tune_controller, trial))
        return str(TrialScheduler.STOP)

    def _judge(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> Verdict | None:
        if "error" in result:
            return TrialState.FAILED, None, result["error"]
        record = self._study.report(number_of(trial.trial_id), own_metrics(result))
        if verdict := self._ended(record):
            return verdict
        if self._asha.on_trial_result(tune_controller, trial, result) == TrialScheduler.STOP:
            return TrialState.PRUNED, StopReason.SCHEDULER, None
        return None

    def _ended(self, record: TrialRecord) -> Verdict | None:
        if reason := stop_reason(record.reports, self._settings.stop):
            return TrialState.PRUNED, reason, None
        if record.metrics["epoch"] >= record.config["training"]["max_epochs"]:
            return TrialState.COMPLETED, None, None
        return None

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Take a trial whose lane was lost off the rungs; Tune adds it again when it goes on."""
        self._asha.on_trial_error(tune_controller, trial)

    def mark_failed(self) -> None:
        """Let Tune call failed what failed. Tune itself would have killed the lane for it."""
        for tune_controller, trial in self._failed:
            trial.handle_error(TuneError(self._verdicts[number_of(trial.trial_id)][2]))
            tune_controller._set_trial_status(trial, Trial.ERROR)
        self._failed.clear()


def own_metrics(result: dict[str, Any]) -> dict[str, float]:
    """The report inside a Tune result."""
    return {name: float(result[name]) for name in ("epoch", *METRICS) if name in result}


def _asha(settings: SearchSettings, max_epochs: int) -> FIFOScheduler:
    if settings.scheduler.type != "asha" or settings.scheduler.grace_period >= max_epochs:
        return FIFOScheduler()
    return AsyncHyperBandScheduler(
        time_attr="epoch",
        metric="recon_loss",
        mode="min",
        max_t=max_epochs,
        grace_period=settings.scheduler.grace_period,
        reduction_factor=settings.scheduler.reduction_factor,
    )
