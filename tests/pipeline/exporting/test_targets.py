"""What encoders are exported as."""

import pytest

from synthcl.pipeline.configs.export import EXPORT_TARGETS, ExportConfig
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.exporting.export import export
from synthcl.pipeline.exporting.targets import TARGETS


@pytest.mark.parametrize(
    ("to", "name", "message"),
    [
        ("torchvision", "resnet10-w8", "resnet10-w8 has no counterpart in torchvision, which resnet18, resnet34"),
        ("torchvision", "timm:resnet10t", "timm:resnet10t has no counterpart in torchvision"),
        ("timm", "resnet10-w8", "no counterpart in timm.*--to safetensors takes any"),
        ("timm", "resnet18-w32", "resnet18-w32 has no counterpart"),
    ],
)
def test_backbones_that_are_not_there_are_refused_with_what_works(make_encoder, tmp_path, to, name, message):
    make_encoder(tmp_path / "encoder", name, 32)
    with pytest.raises(UsageError, match=message):
        export(tmp_path / "encoder", ExportConfig(to=to, out=str(tmp_path / "out")))
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]


def test_every_target_can_be_asked_for():
    assert tuple(TARGETS) == EXPORT_TARGETS
