"""The page of a running search: not too often, one at a time, and never in the way."""

import threading
from concurrent.futures import wait

import pytest

from ndvq_tune.records import SearchRecord
from ndvq_tune.search.tune.live_page import PAUSE, LivePage


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Writer:
    """Notes when it wrote what, and fails if it is to."""

    def __init__(self, clock: Clock, error: Exception | None = None) -> None:
        self.written: list[tuple[float, SearchRecord]] = []
        self.told: list[str] = []
        self._clock, self._error = clock, error
        self.page = LivePage(self.write, self.told.append, clock)

    def write(self, record: SearchRecord) -> None:
        self.written.append((self._clock.seconds, record))
        if self._error is not None:
            raise self._error

    def refresh(self, record: SearchRecord, seconds: float) -> None:
        """The page is asked for at that second; goes on when it is whole."""
        self._clock.seconds = seconds
        self.page.refresh(lambda: record)
        if self.page._writing is not None:
            wait([self.page._writing])


def test_it_is_written_at_once_and_then_once_a_minute(example: SearchRecord, clock: Clock) -> None:
    writer = Writer(clock)
    for seconds in (0, 1, PAUSE - 1, PAUSE, PAUSE + 1, 2 * PAUSE):
        writer.refresh(example, 1000 + seconds)
    writer.page.close()
    assert writer.written == [(1000 + seconds, example) for seconds in (0, PAUSE, 2 * PAUSE)]
    assert not writer.told


def test_a_page_that_takes_long_is_not_begun_again(example: SearchRecord, clock: Clock) -> None:
    slow, written = threading.Event(), []

    def write(record: SearchRecord) -> None:
        slow.wait()
        written.append(record)

    page = LivePage(write, print, clock)
    for _ in range(5):
        page.refresh(lambda: example)
        clock.seconds += 2 * PAUSE
    slow.set()
    page.close()
    assert written == [example]  # close waited for it


def test_what_fails_is_told_once_and_tried_again(example: SearchRecord, clock: Clock) -> None:
    writer = Writer(clock, OSError("the disk is full"))
    for minute in range(3):
        writer.refresh(example, 1000 + minute * PAUSE)
    writer.page.close()
    assert len(writer.written) == 3
    assert writer.told == ["report.html: cannot be written now (the disk is full); the search goes on"]


def test_nothing_is_written_before_there_is_a_report_which_then_need_not_wait(
    empty: SearchRecord, example: SearchRecord, clock: Clock
) -> None:
    writer = Writer(clock)
    writer.refresh(empty, 1000)
    writer.refresh(example, 1001)
    writer.page.close()
    assert writer.written == [(1001, example)]
