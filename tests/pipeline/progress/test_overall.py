"""The overall progress of a command of many parts: how far all are, and the time left by what was measured."""

import os
import subprocess
import sys
import textwrap

import pytest

from synthcl.pipeline.progress import overall as module
from synthcl.pipeline.progress.line import Progress, current_watcher
from synthcl.pipeline.progress.overall import Overall, Part, overall_progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is set, for parts and for what they count."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def run_part(number, kind="run", units=100, cost=10.0, done=0.0, label="train"):
    return Part(number, f"run {number} of 3", kind, units, cost, done, label)


PARTS = [
    run_part(1),
    run_part(2),
    run_part(3, kind="joint", cost=20.0),
    Part("probe", "evaluation", "probe", 1, 500.0),
]
"""Expected costs 1000, 1000, 2000 and 500."""


def do(overall, clock, key, seconds, *, before=0.0):
    """A part that counts 64 images a step."""
    part = overall.parts[key]
    with overall.part(key):
        clock[0] += before
        if part.label is not None:
            done = int(part.done)
            with Progress(part.label, 64 * int(part.units), "images", done=64 * done) as progress:
                clock[0] += seconds
                progress.update(64 * int(part.units))
        else:
            clock[0] += seconds


def test_what_is_left_follows_from_what_parts_of_a_kind_took_and_else_from_their_cost(clock):
    overall = Overall(enabled=False)
    with module.watched_by(overall):
        overall.plan(PARTS)
        assert overall.seconds_left() == float("inf") and overall.part_done() == 0
        do(overall, clock, 1, 100)
        assert overall.seconds_left() == pytest.approx(100 + 200 + 50)
        assert overall.part_done() == pytest.approx(100 / 450)
        do(overall, clock, 2, 140)
        assert overall.seconds_left() == pytest.approx((200 + 50) * 1.2), "120 a run, and the others in proportion"
        do(overall, clock, 3, 100)
        assert overall.seconds_left() == pytest.approx(500 * 340 / 4000)
        do(overall, clock, "probe", 7)
    assert overall.seconds_left() == 0 and overall.part_done() == 1


def test_beginning_and_saving_count_for_the_kind_and_not_for_others(clock):
    overall = Overall(enabled=False)
    with module.watched_by(overall):
        overall.plan(PARTS)
        do(overall, clock, 1, 100, before=60)
    assert overall.seconds_left() == pytest.approx(160 + 200 + 50)


def test_a_part_that_is_going_on_counts_as_far_as_it_is(clock):
    overall = Overall(enabled=False)
    with module.watched_by(overall):
        overall.plan(PARTS)
        with overall.part(1):
            clock[0] += 30
            with Progress("decode", 10, "images") as other, Progress("train", 6400, "images") as progress:
                clock[0] += 20
                other.update(5)
                assert overall.seconds_left() == float("inf")
                progress.update(1600)
                assert overall.seconds_left() == pytest.approx(60 + 80 + 160 + 40)
        overall.learn("probe", 2, 80)
        with overall.part("probe"):
            before = overall.seconds_left()
            clock[0] += 30
            assert before - overall.seconds_left() == pytest.approx(30)
            clock[0] += 30
            assert before - overall.seconds_left() == pytest.approx(40), "it takes longer than the others did"


def test_what_is_done_already_takes_nothing_and_measures_nothing(clock):
    overall = Overall(enabled=False)
    with module.watched_by(overall):
        overall.plan([run_part(1, done=100), run_part(2, done=50), *PARTS[2:]])
        overall.skip(1)
        do(overall, clock, 2, 100)
        assert overall.measured == {"run": (50, 100, 100)}
        assert overall.seconds_left() == pytest.approx(2 * 200 + 2 * 50)


def test_a_part_that_fails_is_not_done(clock):
    overall = Overall(enabled=False)
    with module.watched_by(overall):
        overall.plan(PARTS)
        with pytest.raises(OSError), overall.part(1):
            raise OSError
    assert overall.part_done() == 0 and not overall.measured


def test_away_from_a_terminal_a_line_now_and_then_has_both(clock, capsys):
    with overall_progress() as overall:
        overall.plan(PARTS[:2])
        with overall.part(1), Progress("train", 6400, "images") as progress:
            for step in range(1, 101):
                clock[0] += 0.25
                progress.update(64 * step, loss=0.5)
        with overall.part(2), Progress("features", 10, "images") as progress:
            clock[0] += 11
            progress.update(5)
    assert capsys.readouterr().err.splitlines() == [
        "run 1 of 3; all 0%",
        "run 1 of 3: 2,624/6,400 images  256/s  0:15 left; all 20%, 0:40 left  loss 0.5",
        "run 1 of 3: 5,248/6,400 images  256/s  0:04 left; all 41%, 0:30 left  loss 0.5",
        "run 1 of 3: 6,400/6,400 images  256/s  0:00 left; all 50%, 0:25 left  loss 0.5",
        "run 2 of 3; all 50%, 0:25 left",
        "run 2 of 3: features: 5/10 images  0/s  0:11 left; all 50%, 0:14 left",
    ]
    assert current_watcher() is None


def test_other_processes_say_nothing(clock, capsys):
    with overall_progress(enabled=False) as overall:
        overall.plan(PARTS)
        do(overall, clock, 1, 100)
    assert capsys.readouterr().err == ""


def test_a_command_within_another_joins_its_progress():
    with overall_progress(enabled=False) as outer:
        outer.plan(PARTS[:1])
        with overall_progress() as inner:
            inner.plan(PARTS[1:])
        assert inner is outer and list(outer.parts) == [1, 2, 3, "probe"]
        assert current_watcher() is outer


def test_a_terminal_has_one_display_and_lines_pass_above_it(tmp_path):
    pty = pytest.importorskip("pty")
    code = textwrap.dedent("""
        import sys, time
        from synthcl.pipeline.progress.overall import Part, overall_progress
        from synthcl.pipeline.progress.line import Progress
        with overall_progress() as overall:
            overall.plan([Part(n, f"run {n} of 2", "run", 3, 1.0, label="train") for n in (1, 2)])
            for n in (1, 2):
                with overall.part(n), Progress("train", 3, "images") as progress:
                    for step in (1, 2, 3):
                        time.sleep(0.25)
                        progress.update(step, loss=0.5)
                        if step == 2:
                            print("a warning", file=sys.stderr)
    """)
    (tmp_path / "watch.py").write_text(code)
    main, side = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60"}
    process = subprocess.Popen([sys.executable, tmp_path / "watch.py"], stderr=side, env=environment)
    os.close(side)
    shown = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:  # how a terminal ends on Linux
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert process.wait() == 0
    screen = shown.decode()
    assert "run 1 of 2: 2/3 images" in screen and "] all 100%, 0:00 left" in screen
    assert "a warning\r\n" in screen
    assert screen.rindex("\x1b[?25h") > screen.rfind("\x1b[?25l"), "the cursor is there"
    widest = max(len(line) for line in screen.replace("\r", "\n").split("\n"))
    assert widest < 60 + 40, "lines are cut, not wrapped"
