from dataclasses import replace

import pytest

from ndvq_tune.judgement.front import history
from ndvq_tune.judgement.standing import Standing
from ndvq_tune.records import Role, SearchRecord, TrialState
from ndvq_tune.report.plots import curves, fit, importance, progress, rate_distortion
from tests.report.report_examples import goals, make_trial


def test_scatter_shows_every_measured_trial_once_and_the_front_in_order(example: SearchRecord) -> None:
    traces = {trace.name.split(" (")[0]: trace for trace in rate_distortion(Standing(example)).data}
    assert len(traces["completed"].x) == example.count(TrialState.COMPLETED)
    assert len(traces["stopped early"].x) == example.count(TrialState.PRUNED) - 1  # the diverged one has no loss
    assert list(traces["front"].y) == [trial.metrics["recon_loss"] for trial in Standing(example).front]
    winner = Standing(example).best
    assert winner is not None
    assert list(traces["recommended"].x) == [winner.metrics["bits_per_element"]]


def test_hover_shows_what_was_chosen(example: SearchRecord) -> None:
    texts = [text for trace in rate_distortion(Standing(example)).data if trace.hovertext for text in trace.hovertext]
    assert any("trial-0006" in text and "downsample = 4x4x4" in text for text in texts)
    assert any("stopped early: collapse" in text for text in texts)


def test_the_best_at_each_rate_are_joined_whatever_the_objectives(example: SearchRecord) -> None:
    """But they are the front only where that is what the search was for."""
    other = replace(example, goals=goals("perplexity", mode="max"))
    names = {trace.name for trace in rate_distortion(Standing(other)).data}
    assert "best at each rate" in names
    assert "front" not in names


def test_curves_are_coloured_and_named_for_the_front_only(example: SearchRecord) -> None:
    figure = curves(Standing(example))
    assert {trace.name for trace in figure.data if trace.showlegend} == {
        trial.name for trial in Standing(example).front
    }
    assert "trial-0022" not in {trace.name for trace in figure.data}  # nothing but NaN


def test_nothing_to_draw(empty: SearchRecord) -> None:
    unmeasured = replace(empty, trials=(make_trial(0),))
    for search in (empty, unmeasured):
        assert len(rate_distortion(Standing(search)).data) == len(curves(Standing(search)).data) == 0


def test_one_trial_is_a_point_and_a_marker_in_each_curve(single: SearchRecord) -> None:
    assert {trace.name for trace in rate_distortion(Standing(single)).data} == {"completed (1)", "recommended"}
    assert {trace.mode for trace in curves(Standing(single)).data} == {"lines+markers"}


def test_repetitions_are_drawn_apart_and_small_samples_not_at_all(eventful: SearchRecord) -> None:
    traces = {trace.name.split(" (")[0]: trace for trace in rate_distortion(Standing(eventful)).data}
    small = [trial for trial in eventful.trials if trial.metrics.get("fidelity", 1) < 1 and trial.number != 22]
    assert len(traces["repetition"].x) == 9
    assert len(traces["completed"].x) == 10
    assert len(traces["stopped early"].x) == 12 - len(small)


def test_hover_names_the_trial_that_one_goes_on_from_or_repeats(eventful: SearchRecord) -> None:
    texts = [text for trace in rate_distortion(Standing(eventful)).data if trace.hovertext for text in trace.hovertext]
    assert any("trial-0021" in text and "<br>goes on from trial-0004<br>" in text for text in texts)
    assert sum("<br>repeats trial-0016<br>" in text for text in texts) == 3


def test_progress_is_the_history_in_a_unit_that_suits_it(example: SearchRecord, single: SearchRecord) -> None:
    (line,) = progress(Standing(example)).data
    moments = history(Standing(example))
    assert list(line.y) == [moment.value for moment in moments]
    assert list(line.x) == pytest.approx([moment.seconds / 60 for moment in moments])
    assert progress(Standing(example)).layout.xaxis.title.text == "minutes"
    one = progress(Standing(replace(example, goals=goals("recon_loss"))))
    assert min(one.data[0].y) == one.data[0].y[-1] == min(t.metrics["recon_loss"] for t in Standing(example).front)
    assert not progress(Standing(single)).data


def test_a_curve_is_dotted_up_to_the_first_report_on_full_samples(eventful: SearchRecord) -> None:
    traces = curves(Standing(eventful)).data
    loss = {trace.line.dash: trace for trace in traces if trace.name == "trial-0006" and trace.y[-1] < 1}
    reports = eventful.trials[6].reports
    assert list(loss["dot"].x) == [1, 2, 3, 4]
    assert list(loss["solid"].x) == [report["epoch"] for report in reports[3:]]
    assert [trace.name for trace in traces if trace.showlegend].count("trial-0006") == 1
    only_small = [trace for trace in traces if trace.name == "trial-0005"]
    assert [trace.line.dash for trace in only_small] == ["dot"] * 3


def test_a_symbol_marks_each_rescue_on_the_curve(eventful: SearchRecord, example: SearchRecord) -> None:
    loss, *_ = (trace for trace in curves(Standing(eventful)).data if trace.name == "rescue")
    assert list(loss.x) == [2, 2, 4, 1]
    assert loss.y[0] == eventful.trials[4].reports[1]["recon_loss"]
    assert loss.hovertext[2].startswith("trial-0017: codebook_beta lowered after epoch 4")
    assert "rescue" not in {trace.name for trace in curves(Standing(example)).data}


def test_importances_are_bars_with_intervals_the_largest_on_top(eventful: SearchRecord, example: SearchRecord) -> None:
    (bars,) = importance(eventful).data
    assert list(bars.y) == ["attention.type", "embedding_dim", "learning_rate"]
    assert list(bars.x) == [0.06, 0.2, 0.41]
    assert list(bars.error_x.array) == pytest.approx([0.13, 0.15, 0.13])
    assert list(bars.error_x.arrayminus) == pytest.approx([0.06, 0.15, 0.13])
    assert not importance(example).data


def test_training_is_beside_validation_from_the_first_epoch_of_what_was_trained_to_its_end() -> None:
    reports = [
        {"epoch": epoch, "seconds": epoch, "recon_loss": 1 / epoch, "train_recon_loss": 0.9 / epoch}
        for epoch in (1.0, 2.0, 3.0, 4.0)
    ]
    first = make_trial(0, reports=tuple(reports[:2]), state=TrialState.PRUNED)
    end = make_trial(1, reports=tuple(reports[2:]), role=Role.FINISH, parent=0)
    validation, training = fit(Standing(SearchRecord("two", (first, end), goals("recon_loss")))).data
    assert (validation.name, training.name) == ("validation", "training")
    assert list(validation.x) == list(training.x) == [1, 2, 3, 4]
    assert list(training.y) == [report["train_recon_loss"] for report in reports]


def test_without_a_model_or_a_training_loss_there_is_nothing_to_compare(
    empty: SearchRecord, example: SearchRecord
) -> None:
    assert not fit(Standing(empty)).data
    assert not fit(Standing(example)).data
