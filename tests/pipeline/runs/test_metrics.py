"""The log of metrics has neither gap nor double."""

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.runs.metrics import MetricsLog


def test_metrics_have_no_double_after_a_rewind_and_no_half_row(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for step in (1, 2, 3):
        log.append({"step": step, "loss": step / 3})
    with open(log.path, "a") as file:
        file.write('{"step": 4, "lo')
    assert [row["step"] for row in log.read()] == [1, 2, 3]
    log.rewind(2)
    log.append({"step": 3, "loss": 1.0})
    assert log.read() == [{"step": 1, "loss": 1 / 3}, {"step": 2, "loss": 2 / 3}, {"step": 3, "loss": 1.0}]


DAMAGED = [b"\xff\xfe", b'{"loss": 1.0}', b'{"step": "2"}', b'{"step": true}', b"[1]", b"7", b"null"]
"""Lines that are whole, and no row."""


@pytest.mark.parametrize("line", DAMAGED)
def test_a_line_that_is_no_row_is_named(tmp_path, line):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.append({"step": 1})
    with open(log.path, "ab") as file:
        file.write(line + b'\n{"step": 3}\n')
    before = log.path.read_bytes()
    for use in (log.read, lambda: log.rewind(1)):
        with pytest.raises(DataError, match=r"metrics\.jsonl is damaged \(line 2: .*\): remove that line"):
            use()
    assert log.path.read_bytes() == before


def test_a_log_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(DataError, match=r"cannot read .*metrics\.jsonl: Is a directory"):
        MetricsLog(tmp_path / "metrics.jsonl").read()
