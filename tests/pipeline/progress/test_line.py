"""The progress line: how far, the rate of this process, and the time left."""

import pytest

from synthcl.pipeline.progress import line as progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_tells_rate_and_time_left_without_what_an_earlier_run_did(clock, capsys):
    with progress.Progress("pretrain", 2000, "images", done=1000) as shown:
        clock[0] += 20
        shown.update(1400, loss=0.25)
    line = capsys.readouterr().err.splitlines()[0]
    assert line == "pretrain: 1,400/2,000 images  20/s  0:30 left  loss 0.25"


def test_away_from_a_terminal_lines_come_now_and_then_and_once_at_the_end(clock, capsys):
    with progress.Progress("generate", 100, "samples") as shown:
        for done in range(1, 101):
            clock[0] += 0.3
            shown.update(done)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and lines[-1].startswith("generate: 100/100 samples  3/s  0:00 left")


def test_other_processes_say_nothing(clock, capsys):
    with progress.Progress("generate", 10, "samples", enabled=False) as shown:
        clock[0] += 60
        shown.update(10)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (7325, "2:02:05"), (float("inf"), "?")]
)
def test_durations_are_written_as_clocks_do(seconds, text):
    assert progress.duration(seconds) == text
