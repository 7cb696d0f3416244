"""Shared by all tests: a tiny pipeline of every class of diffusers that is served, and stand-ins of data sets."""

from __future__ import annotations

import functools
import gc
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image


def pytest_collection_finish() -> None:
    """What is imported stays: the collector need not go through it again and again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def stay() -> Iterator[None]:
    """A test leaves the process where it was: its own folder is removed when it has passed."""
    before = os.getcwd()
    yield
    after = os.getcwd()
    os.chdir(before)
    assert after == before, f"the test has gone to {after} and not come back; go there by monkeypatch.chdir"


BLOCKS = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4}


def _unet(**changes: Any) -> Any:
    from diffusers import UNet2DModel

    blocks = {"down_block_types": ("DownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "UpBlock2D")}
    return UNet2DModel(**{"sample_size": 8, **BLOCKS, **blocks, **changes})


def _pixels(name: str, scheduler: str, **options: Any) -> Callable[..., Any]:
    """What makes a pipeline of a U-Net on pixels."""
    import diffusers

    def make(**changes: Any) -> Any:
        own = changes.pop("scheduler", None) or getattr(diffusers, scheduler)(**options)
        return getattr(diffusers, name)(unet=_unet(**changes), scheduler=own)

    return make


def _ldm(**changes: Any) -> Any:
    from diffusers import DDIMScheduler, LDMPipeline, VQModel

    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vqvae = VQModel(latent_channels=3, num_vq_embeddings=16, **BLOCKS, **blocks)
    return LDMPipeline(vqvae=vqvae, unet=_unet(**changes), scheduler=DDIMScheduler())


def _dit(scheduler: Any = None, **changes: Any) -> Any:
    from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = AutoencoderKL(latent_channels=4, **BLOCKS, **blocks)
    shape = {"sample_size": 8, "in_channels": 4, "out_channels": 8, "patch_size": 2, "num_layers": 1}
    shape |= {"num_attention_heads": 2, "attention_head_dim": 8, "num_embeds_ada_norm": 1000, **changes}
    return DiTPipeline(
        transformer=DiTTransformer2DModel(**shape), vae=vae, scheduler=scheduler or DDIMScheduler(clip_sample=False)
    )


def _tokenizer() -> Any:
    """Of CLIP's kind, whose words are single letters and their ends."""
    from transformers import CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    return CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[], model_max_length=16)


def _text_encoder(projection: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=80,
        hidden_size=16,
        intermediate_size=16,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=1,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)


def _text_to_image(name: str, scheduler: str, **shape: Any) -> Callable[..., Any]:
    """What makes a Stable Diffusion of some kind, on prompts of letters and digits."""
    import diffusers

    def make(**changes: Any) -> Any:
        own = changes.pop("scheduler", None) or getattr(diffusers, scheduler)(
            beta_schedule="scaled_linear",
            **({} if "Euler" in scheduler else {"clip_sample": False, "steps_offset": int("DDIM" in scheduler)}),
        )
        blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
        crossed = {"down_block_types": ("CrossAttnDownBlock2D",) * 2, "up_block_types": ("CrossAttnUpBlock2D",) * 2}
        network = {"sample_size": 8, "attention_head_dim": 4, "cross_attention_dim": 16, **BLOCKS, **crossed}
        parts = {
            "vae": diffusers.AutoencoderKL(latent_channels=4, **BLOCKS, **blocks),
            "unet": diffusers.UNet2DConditionModel(**{**network, **shape, **changes}),
            "scheduler": own,
            "text_encoder": _text_encoder(),
            "tokenizer": _tokenizer(),
        }
        if "XL" in name:
            parts |= {"text_encoder_2": _text_encoder(projection=True), "tokenizer_2": _tokenizer()}
            return getattr(diffusers, name)(**parts, add_watermarker=False)
        return getattr(diffusers, name)(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )

    return make


@functools.cache
def _makers() -> dict[str, Callable[..., Any]]:
    return {
        "DDPMPipeline": _pixels("DDPMPipeline", "DDPMScheduler"),
        "DDIMPipeline": _pixels("DDIMPipeline", "DDIMScheduler"),
        "PNDMPipeline": _pixels("PNDMPipeline", "PNDMScheduler", skip_prk_steps=True),
        "ConsistencyModelPipeline": _pixels("ConsistencyModelPipeline", "CMStochasticIterativeScheduler"),
        "LDMPipeline": _ldm,
        "DiTPipeline": _dit,
        "StableDiffusionPipeline": _text_to_image("StableDiffusionPipeline", "DDIMScheduler"),
        "LatentConsistencyModelPipeline": _text_to_image(
            "LatentConsistencyModelPipeline", "LCMScheduler", time_cond_proj_dim=8
        ),
        "StableDiffusionXLPipeline": _text_to_image(
            "StableDiffusionXLPipeline",
            "EulerDiscreteScheduler",
            cross_attention_dim=32,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=64,
        ),
    }


PROMPTS = ["a red cat", "blue dog 7", "7 cats"]


@pytest.fixture(scope="session")
def conditions() -> Callable[[str], dict[str, Any]]:
    """What a generator of a pipeline's class must be told to draw: prompts, where it takes them."""
    from synthcl.generators.pretrained.adapters import ADAPTERS

    return lambda name: {"prompts": PROMPTS} if ADAPTERS[name].takes_prompts else {}


@pytest.fixture(scope="session")
def build_pipeline() -> Callable[..., Any]:
    """Builds a tiny pipeline of a class in `ADAPTERS`, of 8 pixels a side where the diffusion happens.

    Its samples differ from each other: those of fresh networks hardly do. Other arguments change the network's
    configuration, or are its `scheduler`.
    """

    def build(name: str, **changes: Any) -> Any:
        torch.manual_seed(0)
        pipeline = _makers()[name](**changes)
        with torch.no_grad():
            for part in (pipeline.components.get(name) for name in ("unet", "transformer")):
                for parameter in [] if part is None else part.parameters():
                    parameter.add_(torch.randn_like(parameter) * 0.05)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    return build


class StandIn:
    """Writes the files of a data set as torchvision expects them, with images of 8 pixels whose brightness tells their
    class.

    Args:
        root: the folder of data sets.
        num_classes: how many classes, at most 9.
        per_class: images of a class in each split.
    """

    def __init__(self, root: Path, num_classes: int = 3, per_class: int = 4) -> None:
        self.root, self.num_classes, self.per_class = Path(root), num_classes, per_class
        self.random = np.random.default_rng(0)

    def write(self, dataset: str) -> None:
        getattr(self, f"_{dataset.replace('-', '_')}")()

    def picture(self, label: int, *place: str) -> None:
        path = self.root.joinpath(*place)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = 40 + 170 * label / self.num_classes + self.random.normal(0, 15, (8, 8, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, "JPEG", quality=95)

    def text(self, content: str, *place: str) -> None:
        path = self.root.joinpath(*place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def each(self, *splits: str) -> list[tuple[str, int, str]]:
        """Split, class and number of every image."""
        numbers = range(self.num_classes * self.per_class)
        return [(split, n % self.num_classes, f"{split}{n:03d}") for split in splits for n in numbers]

    def _food101(self) -> None:
        lists: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
        for split, label, name in self.each("train", "test"):
            lists[split].setdefault(f"dish{label}", []).append(f"dish{label}/{name}")
            self.picture(label, "food-101", "images", f"dish{label}", f"{name}.jpg")
        for split, content in lists.items():
            self.text(json.dumps(content), "food-101", "meta", f"{split}.json")

    def _sun397(self) -> None:
        names = [f"/{'abc'[label % 3]}/place{label}" for label in range(self.num_classes)]
        self.text("".join(f"{name}\n" for name in names), "SUN397", "ClassName.txt")
        for _, label, name in self.each("x"):
            self.picture(label, "SUN397", *names[label].split("/")[1:], f"sun_{name}.jpg")

    def _stanford_cars(self) -> None:
        from scipy.io import savemat

        folder = self.root / "stanford_cars"
        (folder / "devkit").mkdir(parents=True)
        titles = np.array([f"car {label}" for label in range(self.num_classes)], dtype=object)
        savemat(folder / "devkit" / "cars_meta.mat", {"class_names": titles})
        for split, file in (("train", "devkit/cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
            rows = [(f"{name}.jpg", label + 1) for _, label, name in self.each(split)]
            savemat(folder / file, {"annotations": np.array(rows, dtype=[("fname", object), ("class", object)])})
            for _, label, name in self.each(split):
                self.picture(label, "stanford_cars", f"cars_{split}", f"{name}.jpg")

    def _fgvc_aircraft(self) -> None:
        place = ("fgvc-aircraft-2013b", "data")
        self.text("".join(f"A {label}\n" for label in range(self.num_classes)), *place, "variants.txt")
        for split in ("train", "val", "test"):
            lines = [f"{name} A {label}\n" for _, label, name in self.each(split)]
            self.text("".join(lines), *place, f"images_variant_{split}.txt")
            for _, label, name in self.each(split):
                self.picture(label, *place, "images", f"{name}.jpg")

    def _dtd(self) -> None:
        for split in ("train", "val", "test"):
            lines = [f"cloth{label}/{name}.jpg\n" for _, label, name in self.each(split)]
            self.text("".join(lines), "dtd", "dtd", "labels", f"{split}1.txt")
            for _, label, name in self.each(split):
                self.picture(label, "dtd", "dtd", "images", f"cloth{label}", f"{name}.jpg")

    def _oxford_pets(self) -> None:
        for split in ("trainval", "test"):
            rows = [(f"pet_{label}_{name}", label) for _, label, name in self.each(split)]
            lines = "".join(f"{name} {label + 1} 1 1\n" for name, label in rows)
            self.text(lines, "oxford-iiit-pet", "annotations", f"{split}.txt")
            for name, label in rows:
                self.picture(label, "oxford-iiit-pet", "images", f"{name}.jpg")

    def _caltech101(self) -> None:
        place = ("caltech101", "101_ObjectCategories")
        self.picture(0, *place, "BACKGROUND_Google", "image_0001.jpg")
        for label in range(self.num_classes):
            for number in range(1, self.per_class + 1):
                self.picture(label, *place, f"thing{label}", f"image_{number:04d}.jpg")

    def _flowers102(self) -> None:
        from scipy.io import savemat

        images = self.each("train", "val", "test")
        for number, (_, label, _) in enumerate(images, 1):
            self.picture(label, "flowers-102", "jpg", f"image_{number:05d}.jpg")
        ids = {s: [n for n, image in enumerate(images, 1) if image[0] == s] for s in ("train", "val", "test")}
        savemat(self.root / "flowers-102" / "imagelabels.mat", {"labels": [label + 1 for _, label, _ in images]})
        savemat(
            self.root / "flowers-102" / "setid.mat", {"trnid": ids["train"], "valid": ids["val"], "tstid": ids["test"]}
        )

    def _eurosat(self) -> None:
        for _, label, name in self.each("x"):
            self.picture(label, "eurosat", "2750", f"Land{label}", f"{name}.jpg")


IN_FILES = (
    "food101", "sun397", "stanford-cars", "fgvc-aircraft", "dtd", "oxford-pets", "caltech101", "flowers102", "eurosat",
)  # fmt: skip
"""The data sets that `stand_in` writes."""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """(root, data set, ...) writes a data set of torchvision; see `StandIn`. Nothing is asked of the internet."""
    from torchvision.datasets import Flowers102

    files = {kind: (name, None) for kind, (name, _) in Flowers102._file_dict.items()}
    monkeypatch.setattr(Flowers102, "_file_dict", files)  # without the sums of the real files
    return lambda root, dataset, **sizes: StandIn(root, **sizes).write(dataset)


@pytest.fixture
def peak_memory() -> Callable[[], int]:
    """Tells by how many bytes the peak of this process's memory has grown since the test began.

    Not by tracemalloc: in Python 3.11 its stop() can crash a process that has native threads.
    """
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        pytest.skip("this system does not tell a process's peak memory")

    def resident(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name + ":")) * 1024

    reset.write_text("5")  # forget the peak so far
    before = resident("VmRSS")
    return lambda: resident("VmHWM") - before


@pytest.fixture
def no_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be downloaded."""
    import urllib.request

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise OSError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture(scope="session")
def faulty_store() -> Iterator[Any]:
    """An S3 server of this machine that fails on demand; see benchmarks/faulty_store.py."""
    from botocore.loaders import JSONFileLoader

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
        module = importlib.import_module("faulty_store")
        # Each client reads what S3 is from files again, which takes longer than most of the tests.
        load = functools.cache(JSONFileLoader().load_file)
        patch.setattr(JSONFileLoader, "load_file", lambda loader, path: load(path))
        with module.FaultyStore() as store:
            yield store


@pytest.fixture
def store(faulty_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`faulty_store`, empty and without faults; `s3://bucket` is in it."""
    import fsspec
    import s3fs

    faulty_store.empty()
    for name, value in {"SYNTHCL_CACHE": str(tmp_path / "cache"), **faulty_store.environment()}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # botocore's pauses are long, and ours are what is tested
    monkeypatch.setitem(fsspec.config.conf, "s3", json.loads(faulty_store.environment()["FSSPEC_S3"]))
    s3fs.S3FileSystem.clear_instance_cache()  # of another test, with other credentials
    with monkeypatch.context() as patch:
        patch.setattr("synthcl.pipeline.shards.network.PAUSES", (0.01,) * 4)
        patch.setattr(s3fs.S3FileSystem, "retries", 1)  # ours are enough, and its pauses are long
        usual = {name: getattr(faulty_store, name) for name in ("choose", "kill", "lie", "checks", "conditions")}
        yield faulty_store
        for name, value in usual.items():
            setattr(faulty_store, name, value)
        faulty_store.requests.clear()


@pytest.fixture
def slurm_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a stand-in for sbatch on the PATH (tests/sbatch.py); where it leaves the options that it read."""
    script, read = tmp_path / "bin" / "sbatch", tmp_path / "read.json"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\n" + (Path(__file__).parent / "sbatch.py").read_text())
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("READ_BY_SBATCH", str(read))
    return read


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A stand-in of the Hugging Face hub (tests/hub_server.py), with a token that may write, and a cache of its own."""
    import huggingface_hub.constants as constants
    from huggingface_hub import HfFileSystem

    from synthcl.pipeline.hub.fetching import fetch

    spec = importlib.util.spec_from_file_location("hub_server", Path(__file__).parent / "hub_server.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["hub_server"] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    with module.hub_server() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", server.url)  # what diffusers asks for lists of files
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", module.WRITER)
        fetch.cache_clear()
        HfFileSystem.clear_instance_cache()
        yield server
    fetch.cache_clear()
    HfFileSystem.clear_instance_cache()
