"""Generators on disk, opened to draw from."""

import json
import pickle
from pathlib import Path

import pytest

from synthcl.generators.errors import UnknownOptionError
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.generation.opening import generator_options, open_generator


def test_a_generator_is_opened_to_stay_as_it_is(run):
    generator = open_generator(str(run), precision="fp32")
    assert not generator.training and generator.computes_in == "fp32"
    assert not any(parameter.requires_grad for parameter in generator.parameters())
    with pytest.raises(UsageError, match="--sampling-steps cannot be given here: a gan generator takes no such option"):
        open_generator(str(run), sampling_steps=3)


def test_an_option_of_another_name_is_refused_by_the_flag_that_sets_it():
    for typed, flags in (({}, "--generator-precision, --decay"), ({"decay": "fall"}, "--generator-precision, --fall")):
        with (
            pytest.raises(UsageError, match=f"^{flags} cannot be given here: a gratings trainer"),
            generator_options(typed),
        ):
            raise UnknownOptionError("gratings trainer", ["precision", "decay"], [])


def test_other_errors_pass():
    with pytest.raises(ValueError, match="damaged") as error, generator_options():
        raise ValueError("damaged")
    assert not isinstance(error.value, UsageError)


CODE = """
from pathlib import Path
Path({path!r}).touch()
from diffusers import DDPMPipeline, UNet2DModel
class MyUNet(UNet2DModel): pass
class MyPipeline(DDPMPipeline): pass
"""


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def put(hub, build_pipeline, tmp_path):
    """Puts a good pipeline on the stand-in of the hub as `me/pipe`, with scripts and pickles beside its files and
    `changes` to its index; where a script or a pickle has run, the path that it returns exists."""

    def put(*, safetensors=True, **changes):
        folder, ran = tmp_path / "pipe", tmp_path / "ran"
        build_pipeline("DDPMPipeline").save_pretrained(folder)
        for name in (".", "unet", "scheduler"):
            (folder / name / "my_unet.py").write_text(CODE.format(path=str(ran)))
            (folder / name / "my_pipeline.py").write_text(CODE.format(path=str(ran)))
            for pickled in ("diffusion_pytorch_model.bin", "pytorch_model.bin", "more.pkl"):
                (folder / name / pickled).write_bytes(pickle.dumps(Bomb(ran)))
        if not safetensors:
            (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
        index = json.loads((folder / "model_index.json").read_text()) | changes
        (folder / "model_index.json").write_text(json.dumps(index))
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        hub.put("model", "me/pipe", {name: path.read_bytes() for name, path in files.items()})
        return ran

    return put


def test_of_a_pipeline_on_the_hub_neither_scripts_nor_pickles_are_fetched(hub, put):
    ran = put()
    generator = open_generator("hf://me/pipe", sampling_steps=2)
    assert generator(generator.sample_latents(1)).shape == (1, 3, 8, 8)
    assert not ran.exists() and "unet/diffusion_pytorch_model.safetensors" in hub.fetched
    assert {Path(name).suffix for name in hub.fetched} == {".json", ".safetensors"}


@pytest.mark.parametrize("changes", [{"unet": ["my_unet", "MyUNet"]}, {"_class_name": ["my_pipeline", "MyPipeline"]}])
def test_a_pipeline_on_the_hub_that_names_its_own_code_is_refused(hub, put, changes):
    ran = put(**changes)
    with pytest.raises(ValueError, match="needs code of its own"):
        open_generator("hf://me/pipe")
    assert not ran.exists() and {Path(name).suffix for name in hub.fetched} == {".json", ".safetensors"}


def test_a_pipeline_on_the_hub_whose_weights_are_pickles_is_refused_as_such(hub, put):
    """Allowing pickles is for folders and plain hub ids; from here none is fetched."""
    ran = put(safetensors=False)
    for options in ({}, {"allow_pickle": True}):
        with pytest.raises(DataError, match=r"holds no generator in safetensors; it has .*, but neither code nor pick"):
            open_generator("hf://me/pipe", **options)
    assert not ran.exists() and {Path(name).suffix for name in hub.fetched} == {".json"}
