"""Options of export."""

import pytest

from synthcl.pipeline.configs.export import EXPORT_TARGETS, ExportConfig
from synthcl.pipeline.errors import UsageError


def test_a_target_that_there_is_not_is_answered_with_those_that_there_are():
    with pytest.raises(UsageError, match=f"--to 'onnx' is not known; choose one of {', '.join(EXPORT_TARGETS)}"):
        ExportConfig(to="onnx", out="x")
    with pytest.raises(UsageError, match="Missing option '--out'"):
        ExportConfig.from_values({"to": "timm"})
