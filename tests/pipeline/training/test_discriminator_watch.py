"""A discriminator at chance is named once, by what the run has logged, whatever interrupted it."""

import logging
import math

import pytest

from synthcl.pipeline.runs.metrics import MetricsLog
from synthcl.pipeline.training import discriminator_watch
from synthcl.pipeline.training.discriminator_watch import FEWEST_ROWS, STRETCH, DiscriminatorWatch, Row, is_at_chance


def noise(step, size=0.05):
    """As large as that of a batch, with a mean of 0 over many steps."""
    return size * math.sin(step)


def rows(steps, margin, gradient, every=10):
    return [
        {"step": step, "loss": 0.7, "margin": margin + noise(step), "gradient_realism": gradient}
        for step in range(every, steps + 1, every)
    ]


@pytest.mark.parametrize(
    ("margin", "gradient", "dead"),
    [
        (0.0136, 0.062, True),  # measured: learning rate 2e-3 and gamma 0.2
        (-0.0007, 0.012, True),  # the same, later
        (0.0446, 0.192, False),  # measured: learning rate 5e-4 and gamma 0.02, a long way into the training
        (0.2249, 0.303, False),  # the same, at the start
        (-0.3, 0.05, False),  # wrong about most images is not at chance
        (0.01, 0.3, False),  # balanced, with a gradient to learn from
    ],
)
def test_what_counts_as_chance(margin, gradient, dead):
    stretch = [Row(row["step"], row["margin"], row["gradient_realism"]) for row in rows(STRETCH + 10, margin, gradient)]
    assert is_at_chance(stretch) == dead
    assert not is_at_chance(stretch[1:]), "a stretch that is too short says nothing"


def run(tmp_path, history, *, crash=None, resume=None):
    """What is said over a history of rows; with a crash after one step, taken up from another."""
    metrics = MetricsLog(tmp_path / "metrics.jsonl")
    watch = DiscriminatorWatch(metrics, "Try this")
    watch.rewind(0)
    for row in history:
        if crash is not None and row["step"] > crash:
            break
        metrics.append(row)
        watch.append(row)
    if crash is not None:
        metrics.rewind(resume)
        watch = DiscriminatorWatch(metrics, "Try this")
        watch.rewind(resume)
        for row in history:
            if row["step"] > resume:
                metrics.append(row)
                watch.append(row)


@pytest.mark.parametrize("every", [1, 10, 50, 400])
def test_it_is_said_once_after_a_whole_stretch(tmp_path, caplog, every):
    alive, dead = rows(2000, 0.3, 0.3, every), rows(20_000, 0.0, 0.02, every)
    history = alive + [row for row in dead if row["step"] > 2000]
    run(tmp_path, history)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and "Try this" in record.message
    first, last = (int(word) for word in record.message.split() if word.isdigit())
    # The mean falls below the bound a little before all rows are of the dead one.
    assert 1000 < first <= 2000 + every and last - first >= STRETCH and last <= 2000 + max(STRETCH, every * FEWEST_ROWS)


def test_one_that_lives_is_not_named(tmp_path, caplog):
    run(tmp_path, rows(5000, 0.045, 0.19))
    assert not caplog.records


def test_rows_without_a_discriminator_are_passed_over(tmp_path, caplog):
    run(tmp_path, [{"step": step, "loss_generator": 0.1} for step in range(10, 5000, 10)])
    assert not caplog.records


@pytest.mark.parametrize(("crash", "resume", "times"), [(700, 500, 1), (1500, 1300, 1), (1500, 800, 2), (990, 0, 1)])
def test_a_resumed_run_says_what_it_had_not_said_by_its_checkpoint(tmp_path, caplog, crash, resume, times):
    """Said at step 1,010: again only if the checkpoint that the run goes on from is older."""
    run(tmp_path, rows(3000, 0.0, 0.02), crash=crash, resume=resume)
    assert len(caplog.records) == times and len({record.message for record in caplog.records}) == 1


def test_pretraining_says_it_on_stderr(synthcl_pretrain, monkeypatch, caplog):
    monkeypatch.setattr(discriminator_watch, "STRETCH", 20)
    monkeypatch.setattr(discriminator_watch, "GRADIENT", math.inf)
    monkeypatch.setattr(discriminator_watch, "MARGIN", math.inf)
    synthcl_pretrain(steps=24)
    (record,) = [record for record in caplog.records if "could not tell" in record.message]
    assert "from step 1 to 21" in record.message and "--discriminator-preset" in record.message


@pytest.fixture
def synthcl_pretrain(tmp_path):
    from synthcl.pipeline.training.pretrain import pretrain

    def call(**options):
        return pretrain(
            data="digits", image_size=8, preset="tiny", batch_size=4, log_every=1, out=str(tmp_path / "run"), **options
        )

    return call
