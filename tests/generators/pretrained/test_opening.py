"""What is opened, and what is refused, of folders and hub ids that nobody vouches for."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel

from synthcl.generators import kind_of, load_generator, load_trainer
from synthcl.generators.diffusion import DiffusionTrainer
from synthcl.generators.pretrained import PretrainedGenerator
from synthcl.generators.pretrained.opening import open_pipeline

BLOCKS = {
    "sample_size": 8,
    "block_out_channels": (8, 8),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "down_block_types": ("DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D"),
}


# diffusers passes the hub an option that it has given up.
HUB_WARNING = pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks` argument")


def save(folder: Path, **changes) -> Path:
    torch.manual_seed(0)
    DDPMPipeline(unet=UNet2DModel(**{**BLOCKS, **changes}), scheduler=DDPMScheduler()).save_pretrained(str(folder))
    return folder


def edit_index(folder: Path, **changes) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | changes))


def test_a_folder_that_diffusers_wrote_opens(tmp_path):
    save(tmp_path)
    assert kind_of(tmp_path) == "pretrained"
    generator = load_generator(tmp_path, sampler="ddim", sampling_steps=2, image_size=12)
    assert isinstance(generator, PretrainedGenerator) and generator.image_size == 12
    assert generator.recipe["sampler"] == "ddim" and generator.recipe["pipeline"] == "DDPMPipeline"


def test_options_given_take_the_place_of_those_saved(tmp_path):
    load_generator(save(tmp_path / "a"), sampler="dpm", sampling_steps=7).save_pretrained(tmp_path / "b")
    assert load_generator(tmp_path / "b").recipe["sampling_steps"] == 7
    loaded = load_generator(tmp_path / "b", sampling_steps=3)
    assert (loaded.recipe["sampler"], loaded.recipe["sampling_steps"]) == ("dpm", 3)


def pickle_weights(folder: Path) -> None:
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(UNet2DModel.from_pretrained(folder, subfolder="unet").state_dict(), weights.with_suffix(".bin"))
    weights.unlink()


def test_pickled_weights_are_read_only_when_allowed(tmp_path):
    before = load_generator(save(tmp_path), sampling_steps=2)
    pickle_weights(tmp_path)
    with pytest.raises(ValueError, match="allow_pickle"):
        load_generator(tmp_path)
    after = load_generator(tmp_path, sampling_steps=2, allow_pickle=True)
    latents = torch.tensor([[1, -1]])
    torch.testing.assert_close(after(latents), before(latents), rtol=0, atol=1e-3)


@pytest.fixture
def text_to_image(tmp_path, build_pipeline):
    """A saved pipeline of prompts, with a checker of images in its index, as those on the hub have."""
    folder = tmp_path / "text"
    build_pipeline("StableDiffusionPipeline").save_pretrained(folder)
    edit_index(folder, safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
    return folder


def test_a_text_to_image_pipeline_opens_without_the_parts_that_no_sample_needs(text_to_image):
    generator = load_generator(text_to_image, prompts=["a cat"], sampling_steps=2)
    assert generator(torch.tensor([[1, 0]])).shape == (1, 3, 16, 16)
    assert generator.recipe["pipeline"] == "StableDiffusionPipeline"


def test_pickled_text_encoders_are_refused_too(text_to_image):
    weights = text_to_image / "text_encoder" / "model.safetensors"
    torch.save({}, weights.with_name("pytorch_model.bin"))
    weights.unlink()
    with pytest.raises(ValueError, match="allow_pickle"):
        load_generator(text_to_image, prompts=["a cat"])


@pytest.mark.parametrize("part", [["transformers", "AutoModel"], ["transformers", "pipeline"], ["my_text", "Encoder"]])
def test_text_encoders_of_other_classes_are_refused(text_to_image, part):
    edit_index(text_to_image, text_encoder=part)
    with pytest.raises(ValueError, match="needs code of its own"):
        load_generator(text_to_image, prompts=["a cat"])


def test_without_transformers_a_sentence_says_what_to_install(text_to_image, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"transformers, which is not installed: pip install transformers"):
        open_pipeline(text_to_image)


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_malicious_pickle_does_not_run_even_when_pickles_are_allowed(tmp_path):
    save(tmp_path)
    pickle_weights(tmp_path)
    exploded = tmp_path / "exploded"
    torch.save({"bomb": Bomb(exploded)}, tmp_path / "unet" / "diffusion_pytorch_model.bin")
    for options in ({}, {"allow_pickle": True}):
        with pytest.raises(ValueError, match=str(tmp_path)):
            load_generator(tmp_path, **options)
    assert not exploded.exists()


@pytest.mark.parametrize("name", ["StableDiffusion3Pipeline", "KandinskyPipeline", "NoSuchPipeline"])
def test_pipelines_that_are_not_served_are_refused_with_those_that_are(tmp_path, name):
    edit_index(save(tmp_path), _class_name=name)
    with pytest.raises(ValueError, match=f"{name} cannot serve .*DDPMPipeline.*DiTPipeline"):
        load_generator(tmp_path)


CODE = """
from pathlib import Path
Path({path!r}).touch()
from diffusers import DDPMPipeline, UNet2DModel
class MyUNet(UNet2DModel): pass
class MyPipeline(DDPMPipeline): pass
"""


@pytest.mark.parametrize(
    "changes",
    [
        {"unet": ["my_unet", "MyUNet"]},
        {"_class_name": ["my_pipeline", "MyPipeline"]},
        {"unet": ["os", "system"]},
    ],
)
def test_code_in_the_folder_does_not_run_unless_trusted(tmp_path, changes):
    folder, ran = save(tmp_path / "p"), tmp_path / "ran"
    for name in ("unet/my_unet.py", "my_unet.py", "my_pipeline.py"):
        (folder / name).write_text(CODE.format(path=str(ran)))
    edit_index(folder, **changes)
    with pytest.raises(ValueError, match=r"needs code of its own.*trust_remote_code"):
        load_generator(folder)
    assert not ran.exists()


@pytest.mark.parametrize(
    "part", ["DDPMPipeline", "DiffusionPipeline", "utils", "NoSuchModel", 5, None, ["UNet2DModel"]]
)
def test_what_is_no_part_of_a_pipeline_is_refused(tmp_path, part):
    """A pipeline within a pipeline, most of all: what it is made of would not be looked at."""
    folder, ran = save(tmp_path / "p"), tmp_path / "ran"
    edit_index(folder, unet=["diffusers", part])
    save(folder / "unet")
    (folder / "unet" / "my_unet.py").write_text(CODE.format(path=str(ran)))
    edit_index(folder / "unet", unet=["my_unet", "MyUNet"])
    with pytest.raises(ValueError, match=r"its unet, \['diffusers', .*\], is no model and no scheduler of diffusers"):
        load_generator(folder)
    assert not ran.exists()


@pytest.mark.parametrize("part", [[], ["diffusers"], ["diffusers", "UNet2DModel", "more"]])
def test_an_index_of_another_form_is_refused(tmp_path, part):
    edit_index(save(tmp_path), unet=part)
    with pytest.raises(ValueError, match="is not part of diffusers"):
        load_generator(tmp_path)


def test_trusted_code_runs_and_serves_what_extends_a_served_pipeline(tmp_path, monkeypatch):
    monkeypatch.setattr("diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE", str(tmp_path / "cache"))
    folder, ran = save(tmp_path / "p"), tmp_path / "ran"
    (folder / "my_pipeline.py").write_text(CODE.format(path=str(ran)))
    edit_index(folder, _class_name=["my_pipeline", "MyPipeline"])
    generator = load_generator(folder, trust_remote_code=True, sampling_steps=2)
    assert ran.exists() and generator.recipe["pipeline"] == "MyPipeline"
    assert generator(torch.tensor([[1, -1]])).shape == (1, 3, 8, 8)


@HUB_WARNING
def test_a_hub_that_cannot_be_reached_is_named(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert kind_of("somebody/no-such-pipeline") == "pretrained"
    with pytest.raises(ValueError, match=r"'somebody/no-such-pipeline'.*no such folder.*hub id.*cannot be reached"):
        load_generator("somebody/no-such-pipeline")


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch):
    """Nothing listens at the port; asking again would wait first."""

    def wait(seconds):
        raise AssertionError(f"it would wait {seconds} s and ask again")

    monkeypatch.setattr("time.sleep", wait)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    url = "http://127.0.0.1:9/somebody/no-such-pipeline"
    monkeypatch.setattr("synthcl.generators.pretrained.opening.hf_hub_url", lambda *_: url)
    with pytest.raises(ValueError, match=r"'somebody/no-such-pipeline'.*cannot be reached \(.*[Cc]onnect"):
        open_pipeline("somebody/no-such-pipeline")


@HUB_WARNING
def test_a_pipeline_in_the_hubs_cache_needs_no_connection(tmp_path, monkeypatch):
    repository = tmp_path / "models--somebody--pipeline"
    save(repository / "snapshots" / "1234")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("1234")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    generator = load_generator("somebody/pipeline", sampling_steps=2)
    assert generator(torch.tensor([[1, -1]])).shape == (1, 3, 8, 8)


WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def put(hub, tmp_path):
    """Puts a pipeline on the stand-in of the hub as `me/pipe`, and beside its files a script and a pickle in each of
    its folders; where one of those has run, the path that it returns exists. Arguments are of `edit_index`."""

    def put(*, safetensors: bool = True, **changes) -> Path:
        folder, ran = save(tmp_path / "p"), tmp_path / "ran"
        for name in (".", "unet", "scheduler"):
            for script in ("my_unet.py", "my_pipeline.py", "pipeline.py"):
                (folder / name / script).write_text(CODE.format(path=str(ran)))
            for pickled in ("diffusion_pytorch_model.bin", "more.pkl") if name == "unet" else ("more.pkl",):
                torch.save({"bomb": Bomb(ran)}, folder / name / pickled)
        if not safetensors:
            (folder / WEIGHTS).unlink()
        edit_index(folder, **changes)
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        hub.put("model", "me/pipe", {name: path.read_bytes() for name, path in files.items()})
        return ran

    return put


@HUB_WARNING
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unet": ["my_unet", "MyUNet"]}, "needs code of its own: its unet"),
        ({"unet": ["my_unet", "MyUNet"], "safetensors": False}, "needs code of its own: its unet"),
        ({"_class_name": ["my_pipeline", "MyPipeline"]}, "needs code of its own: its class"),
        ({"_class_name": "FluxPipeline"}, "a FluxPipeline cannot serve"),
        ({"unet": ["diffusers", "DiffusionPipeline"]}, "is no model and no scheduler of diffusers"),
        ({"safetensors": False}, "could not be loaded.*if its weights are pickled files and you trust them"),
    ],
)
def test_of_a_hub_id_that_is_refused_the_index_alone_is_fetched(hub, put, changes, message):
    ran = put(**changes)
    with pytest.raises(ValueError, match=f"'me/pipe'.*{message}" if "Flux" not in message else message):
        load_generator("me/pipe")
    assert not ran.exists() and set(hub.fetched) == {"model_index.json"}


@HUB_WARNING
def test_a_hub_id_is_served_from_its_safetensors_and_nothing_beside_them_runs(hub, put):
    """diffusers fetches a `pipeline.py` and all that lies beside a scheduler too, and reads neither."""
    ran = put()
    generator = load_generator("me/pipe", sampling_steps=2)
    assert generator(torch.tensor([[1, -1]])).shape == (1, 3, 8, 8)
    assert not ran.exists()
    assert {name for name in hub.fetched if name.startswith("unet/")} == {WEIGHTS, "unet/config.json"}
    assert not any(name.endswith(".bin") for name in hub.fetched)


def test_a_folder_without_an_index_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no model_index\.json"):
        open_pipeline(tmp_path)


def test_a_damaged_pipeline_is_named(tmp_path):
    save(tmp_path)
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(ValueError, match=str(tmp_path)):
        load_generator(tmp_path)
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(ValueError, match=r"model_index\.json"):
        load_generator(tmp_path)


def test_joint_training_from_a_frozen_generator_is_refused_with_what_can_serve(tmp_path):
    edit_index(save(tmp_path), _class_name="ConsistencyModelPipeline")
    for source in (str(tmp_path), "somebody/pipeline", "package.module:Class"):
        with pytest.raises(ValueError, match=r"does not learn.*Joint training takes.*gan or diffusion.*DDPMPipeline"):
            load_trainer(source)


def test_joint_training_starts_from_anyones_rgb_ddpm(tmp_path):
    trainer = load_trainer(save(tmp_path / "rgb"), sampling_steps=2)
    assert isinstance(trainer, DiffusionTrainer) and trainer.generator.image_size == 8
    with pytest.raises(ValueError, match="from 1 to 1 channels"):
        load_trainer(save(tmp_path / "gray", in_channels=1, out_channels=1))
    scheduler = DDIMScheduler(prediction_type="sample")
    DDPMPipeline(unet=UNet2DModel(**BLOCKS), scheduler=scheduler).save_pretrained(str(tmp_path / "sample"))
    with pytest.raises(ValueError, match="'sample': choose from epsilon, v_prediction"):
        load_trainer(tmp_path / "sample")
