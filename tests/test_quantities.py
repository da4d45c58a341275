import pytest

from ndvq_tune.quantities import bytes_text, count_text, duration, gibibytes


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.6, "1 min 0 s"), (312.4, "5 min 12 s"), (3600, "1 h 0 min"), (90061, "1 d 1 h")],
)
def test_a_time_span_is_given_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (1234, "1,234 entries")]
)
def test_only_one_thing_is_singular(count: int, text: str) -> None:
    assert count_text(count, "entry", "entries") == text
    assert count_text(count, "trial") == text.replace("entry", "trial").replace("entries", "trials")


def test_disks_are_measured_in_powers_of_ten_and_memory_in_powers_of_two() -> None:
    assert bytes_text(1_500_000_000) == "1.5 GB"
    assert gibibytes(3 * 2**29) == "1.5 GiB"
