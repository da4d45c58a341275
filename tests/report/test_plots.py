from dataclasses import replace

from ndvq_tune.records import SearchRecord, TrialState
from ndvq_tune.report.plots import curves, rate_distortion
from ndvq_tune.report.ranking import best, pareto
from tests.report.report_examples import make_trial


def test_scatter_shows_every_measured_trial_once_and_the_front_in_order(example: SearchRecord) -> None:
    traces = {trace.name.split(" (")[0]: trace for trace in rate_distortion(example).data}
    assert len(traces["completed"].x) == example.count(TrialState.COMPLETED)
    assert len(traces["stopped early"].x) == example.count(TrialState.PRUNED) - 1  # the diverged one has no loss
    assert list(traces["front"].y) == [trial.metrics["recon_loss"] for trial in pareto(example)]
    winner = best(example)
    assert winner is not None
    assert list(traces["recommended"].x) == [winner.metrics["bits_per_element"]]


def test_hover_shows_what_was_chosen(example: SearchRecord) -> None:
    texts = [text for trace in rate_distortion(example).data if trace.hovertext for text in trace.hovertext]
    assert any("trial-0006" in text and "downsample = 4x4x4" in text for text in texts)
    assert any("stopped early: collapse" in text for text in texts)


def test_front_is_drawn_whatever_the_objectives(example: SearchRecord) -> None:
    other = replace(example, objectives=(("perplexity", "max"),))
    assert "front" in {trace.name for trace in rate_distortion(other).data}


def test_curves_are_coloured_and_named_for_the_front_only(example: SearchRecord) -> None:
    figure = curves(example)
    assert {trace.name for trace in figure.data if trace.showlegend} == {trial.name for trial in pareto(example)}
    assert "trial-0022" not in {trace.name for trace in figure.data}  # nothing but NaN


def test_nothing_to_draw(empty: SearchRecord) -> None:
    unmeasured = replace(empty, trials=(make_trial(0),))
    for search in (empty, unmeasured):
        assert len(rate_distortion(search).data) == len(curves(search).data) == 0


def test_one_trial_is_a_point_and_a_marker_in_each_curve(single: SearchRecord) -> None:
    assert {trace.name for trace in rate_distortion(single).data} == {"completed (1)", "recommended"}
    assert {trace.mode for trace in curves(single).data} == {"lines+markers"}
