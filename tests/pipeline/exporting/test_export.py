"""Exported encoders give the same features where they are loaded, by the very lines that the card states."""

import json
import re

import pytest
import timm
import torch
from PIL import Image
from safetensors import safe_open

from synthcl.pipeline.configs.export import EXPORT_TARGETS, ExportConfig
from synthcl.pipeline.data import open_images
from synthcl.pipeline.encoder import load_encoder
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.evaluation.probes import evaluate_linear
from synthcl.pipeline.exporting.embedding import embed
from synthcl.pipeline.exporting.export import export
from synthcl.pipeline.views import normalize, to_float

LOADED = [
    ("torchvision", "resnet18", 32, "exported"),
    ("torchvision", "resnet18", 96, "exported"),
    ("torchvision", "resnet18", 32, "model.safetensors"),
    ("torchvision", "resnet18", 32, "model.pth"),
    ("torchvision", "resnet50", 32, "exported"),
    ("timm", "resnet18", 32, "model.pth"),
    ("timm", "resnet34", 96, "exported"),
    ("timm", "timm:vit_tiny_patch16_224", 32, "exported"),
    ("timm", "timm:resnet10t", 32, "exported"),
    ("timm", "timm:vit_tiny_patch16_384", 224, "exported"),  # built for 384 pixels where no size is given
    ("timm", "timm:test_vit_relpos", 64, "exported"),  # of the same shapes at any size, and checks the size
    ("safetensors", "resnet10-w8", 8, "exported"),
    ("safetensors", "resnet10-w8", 8, "model.safetensors"),
]


def images(size):
    return torch.randint(0, 256, (4, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("to", "name", "size", "out"), LOADED)
def test_the_lines_of_the_card_load_it_and_its_features_are_the_same(
    make_encoder, tmp_path, monkeypatch, to, name, size, out
):
    encoder = make_encoder(tmp_path / "encoder", name, size)
    result = export(tmp_path / "encoder", to=to, out=str(tmp_path / out))
    card = (tmp_path / out / "README.md") if out == "exported" else (tmp_path / out).with_suffix(".md")
    code = re.search(r"```python\n(.*?)```", card.read_text(), re.DOTALL)[1]
    monkeypatch.chdir(card.parent)
    pixels = images(size)
    scope = {"image": Image.fromarray(pixels[0].permute(1, 2, 0).numpy())}
    with torch.no_grad():
        exec(code, scope)  # the card's lines end with the features of one image
        features = scope["model"](normalize(to_float(pixels)))
        torch.testing.assert_close(features, encoder(pixels), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(scope["features"], features[:1], rtol=1e-4, atol=1e-4)
        exec(result["loading"], scope)
        torch.testing.assert_close(scope["model"](normalize(to_float(pixels))), features, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [(91, 64), (40, 75)])
def test_the_lines_of_the_card_prepare_an_image_as_evaluations_do(make_encoder, tmp_path, monkeypatch, size):
    encoder = make_encoder(tmp_path / "encoder", "resnet10-w8", 32)
    export(tmp_path / "encoder", out=str(tmp_path / "out"))
    width, height = size
    rings = torch.linspace(-3, 5, width).square() + torch.linspace(-4, 2, height).square()[:, None]
    photo = torch.stack([rings.sin(), rings.cos(), (2 * rings).sin()], dim=-1).mul(127).add(128).byte().numpy()
    (tmp_path / "photos").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the picture is to be shown rotated by 90 degrees
    Image.fromarray(photo).save(tmp_path / "photos" / "a.png", exif=exif)
    code = re.search(r"```python\n(.*?)```", (tmp_path / "out" / "README.md").read_text(), re.DOTALL)[1]
    scope = {"image": Image.open(tmp_path / "photos" / "a.png")}
    monkeypatch.chdir(tmp_path / "out")
    with torch.no_grad():
        exec(code, scope)
    seen = encoder(open_images(str(tmp_path / "photos"), image_size=32).read([0]))
    torch.testing.assert_close(scope["features"], seen, rtol=1e-5, atol=1e-5)


def test_the_configuration_says_how_images_are_prepared(make_encoder, tmp_path):
    encoder = make_encoder(tmp_path / "encoder", "resnet18", 32)
    export(tmp_path / "encoder", ExportConfig(to="timm", out=str(tmp_path / "out")))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["image_size"] == 32 and config["mean"] == [0.485, 0.456, 0.406] and config["std"][0] == 0.229
    assert config["interpolation"] == config["pretrained_cfg"]["interpolation"] == "bicubic"
    assert config["architecture"] == "resnet18" and config["pretrained_cfg"]["input_size"] == [3, 32, 32]
    with safe_open(tmp_path / "out" / "model.safetensors", framework="pt") as content:
        assert json.loads(content.metadata()["config"]) == config
    assert load_encoder(tmp_path / "out").weights_hash() == encoder.weights_hash()  # and synthcl takes it back


@pytest.mark.parametrize("name", ["resnet18", "timm:resnet10t", "timm:test_vit"])
def test_timm_takes_the_folder_by_its_name(make_encoder, tmp_path, name):
    encoder = make_encoder(tmp_path / "encoder", name, 96)
    export(tmp_path / "encoder", ExportConfig(to="timm", out=str(tmp_path / "out")))
    model = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    pixels = images(96)
    with torch.no_grad():
        torch.testing.assert_close(model(normalize(to_float(pixels))), encoder(pixels), rtol=1e-5, atol=1e-5)


def test_a_folder_may_have_a_dot_in_its_name(hub, make_encoder, tmp_path):
    encoder = make_encoder(tmp_path / "encoder", "resnet10-w8", 8)
    out = tmp_path / "lr0.1-encoder"
    result = export(tmp_path / "encoder", out=str(out), push="me/encoder")
    assert load_encoder(out).weights_hash() == encoder.weights_hash() and len(result["files"]) == 3
    assert f"load_file({str(out / 'model.safetensors')!r})" in result["loading"] and result["push"]["uploaded"] == 3


def test_pth_files_hold_tensors_alone(make_encoder, tmp_path):
    make_encoder(tmp_path / "encoder", "resnet18", 32)
    export(tmp_path / "encoder", ExportConfig(to="torchvision", out=str(tmp_path / "r18.pth")))
    state = torch.load(tmp_path / "r18.pth", weights_only=True)
    assert all(type(tensor) is torch.Tensor for tensor in state.values()) and "layer4.1.bn2.weight" in state


def test_an_export_that_was_evaluated_and_embedded_is_written_again_and_keeps_what_came_out(make_encoder, tmp_path):
    make_encoder(tmp_path / "encoder", "resnet10-w8", 8)
    out = tmp_path / "out"
    config = ExportConfig(to="safetensors", out=str(out))
    export(tmp_path / "encoder", config)
    evaluate_linear(out, "digits:train[:60,balanced]", test_data="digits:test[:20]", l2=0.1)
    embed(out, data=["digits:test[:30]"], out=str(tmp_path / "x.parquet"))
    left = {path: path.read_bytes() for name in ("evaluations", "cache") for path in (out / name).rglob("*.*")}
    assert {path.parent.name for path in left} == {"evaluations", "features"} and len(left) == 4
    (out / "README.md").unlink()
    export(tmp_path / "encoder", config)
    assert (out / "README.md").is_file() and {path: path.read_bytes() for path in left} == left


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        ("out.onnx", UsageError, "must be a folder, or a file that ends in .safetensors or .pth: "),
        ("lr0.1.pt", UsageError, "export writes no .pt$"),
        ("out.PTH", UsageError, "export writes no .PTH$"),
        ("out.pth", UsageError, "--to safetensors writes .safetensors"),
        ("full", DataError, "holds other things"),
        ("file", DataError, "is a file; give a folder"),
    ],
)
def test_places_that_cannot_be_written_are_refused(make_encoder, tmp_path, out, error, message):
    make_encoder(tmp_path / "encoder", "resnet10-w8", 8)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message):
        export(tmp_path / "encoder", ExportConfig(out=str(tmp_path / out)))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("out", "there", "content"),
    [
        ("run.safetensors", "run.json", '{"command": "train"}'),
        ("result.pth", "result.json", '{"steps": 3}'),
        ("photos.safetensors", "photos.json", "[1, 2]"),
        ("photos.safetensors", "photos.json", "not JSON"),
        ("notes.pth", "notes.md", "years of work"),
        ("encoder", "encoder/config.json", None),  # of a run, which goes by what its result says of it
        ("model", "model/config.json", '{"format": "synthcl-encoder-1"}'),
        ("model", "model/config.json", '{"model_type": "bert"}'),
        ("model", "model/README.md", "# BERT"),
        ("model", "model/model.safetensors", "weights"),
    ],
)
def test_what_no_export_wrote_is_not_replaced(make_encoder, tmp_path, out, there, content):
    make_encoder(tmp_path / "encoder", "resnet18", 32)
    if content is not None:
        (tmp_path / there).parent.mkdir(exist_ok=True)
        (tmp_path / there).write_text(content)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    with pytest.raises(DataError, match=f"would replace {tmp_path / there}, which no export wrote"):
        export(tmp_path / "encoder", to="torchvision", out=str(tmp_path / out))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


@pytest.mark.parametrize("out", ["out.safetensors", "out.pth"])
def test_exported_files_are_replaced_by_the_next(make_encoder, tmp_path, out):
    make_encoder(tmp_path / "encoder", "resnet18", 32)
    for to in ("torchvision", "timm"):
        export(tmp_path / "encoder", to=to, out=str(tmp_path / out))
        assert json.loads((tmp_path / "out.json").read_text())["exported_to"] == to
        assert to in (tmp_path / "out.md").read_text()


def test_an_export_is_replaced_by_the_next(make_encoder, tmp_path):
    make_encoder(tmp_path / "encoder", "resnet18", 32)
    for to in EXPORT_TARGETS:
        export(tmp_path / "encoder", ExportConfig(to=to, out=str(tmp_path / "out")))
        assert json.loads((tmp_path / "out" / "config.json").read_text())["exported_to"] == to
    assert {path.name for path in tmp_path.iterdir()} == {"encoder", "out"}


def test_a_link_to_an_export_stays_one(make_encoder, tmp_path):
    make_encoder(tmp_path / "encoder", "resnet10-w8", 8)
    export(tmp_path / "encoder", out=str(tmp_path / "out"))
    (tmp_path / "out" / "README.md").unlink()
    (tmp_path / "link").symlink_to("out")
    result = export(tmp_path / "encoder", out=str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink() and (tmp_path / "out" / "README.md").is_file()
    assert str(tmp_path / "link" / "README.md") in result["files"]


@pytest.mark.parametrize(("inside", "out"), [(".", "."), (".", "../out"), ("cache", "..")])
def test_the_working_directory_is_not_replaced(make_encoder, tmp_path, monkeypatch, inside, out):
    make_encoder(tmp_path / "encoder", "resnet10-w8", 8)
    (tmp_path / "out" / "cache").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "out" / inside)
    with pytest.raises(DataError, match="is the working directory, or holds it, and cannot be replaced"):
        export(tmp_path / "encoder", out=out)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cache"]


def test_it_is_pushed_with_its_card(hub, make_encoder, tmp_path):
    make_encoder(tmp_path / "encoder", "resnet10-w8", 8)
    result = export(tmp_path / "encoder", out=str(tmp_path / "out"), push="me/encoder", private=True, license="mit")
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    repository = hub.repositories["model", "me/encoder"]
    assert repository.files == written and repository.private and result["push"]["uploaded"] == 3
    assert "license: mit" in written["README.md"].decode()
    again = export(tmp_path / "encoder", out=str(tmp_path / "out"), push="me/encoder", license="mit")
    assert again["push"]["uploaded"] <= 1  # safetensors writes its own entries in any order


def test_a_push_of_a_single_file_is_refused(hub, make_encoder, tmp_path):
    make_encoder(tmp_path / "encoder", "resnet10-w8", 8)
    with pytest.raises(UsageError, match="give --out a folder"):
        export(tmp_path / "encoder", out=str(tmp_path / "model.safetensors"), push="me/encoder")
    assert not hub.repositories and not (tmp_path / "model.safetensors").exists()
