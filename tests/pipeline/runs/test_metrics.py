"""The log of metrics has neither gap nor double."""

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
