"""What is said where a run's files cannot be written."""

import errno
import os
import re

import pytest
from safetensors import SafetensorError

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.runs.metrics import MetricsLog
from synthcl.pipeline.runs.saving import writing_to

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x"), SafetensorError("I/O error: No space left on device")


@pytest.mark.parametrize("error", FULL, ids=["of a file", "of safetensors"])
def test_a_full_disk_is_told_with_the_folder_and_the_way_on(tmp_path, error):
    message = f"cannot save the run in {tmp_path}: .*No space left on device; .* run the same command again, which goes"
    with pytest.raises(DataError, match=message), writing_to(tmp_path):
        raise error


def test_other_errors_stay_as_they_are(tmp_path):
    with pytest.raises(KeyError), writing_to(tmp_path):
        raise KeyError("x")


def test_so_is_a_row_of_metrics_that_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match=re.escape(f"cannot save the run in {tmp_path / 'gone'}: No such file")):
        MetricsLog(tmp_path / "gone" / "metrics.jsonl").append({"step": 1})
