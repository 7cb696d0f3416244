"""Options of how a generator draws, shared by the commands that draw from one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...generators import load_generator, load_trainer
from ...generators.registry import is_class
from ..options.config import Config, option
from .common import PRECISIONS
from .conditions import parse_classes, read_prompts
from .regimes import DRAWN

SAMPLERS = ("ddim", "dpm")


def try_class(source: str | None, config: SamplingConfig, *, learns: bool = False) -> None:
    """Make and check the generator where it is a class of the user's. This imports torch, and the class.

    Args:
        source: what `--generator` says.
        config: how it is to draw; its files, such as those of prompts, are read for a class alone.
        learns: whether it is to be trained.

    Raises:
        ValueError: as `load_generator`, or for a class that is to be trained, which none can be.
    """
    if source is None or not is_class(source):
        return
    if learns:
        load_trainer(source)
    load_generator(source, **config.sampling_options())


@dataclass(kw_only=True)
class SamplingConfig(Config):
    sampler: str | None = option(
        None,
        help="Diffusion: solver to sample with; the generator's own if not given, of what pretrain wrote dpm. "
        "[ddim: 2010.02502, dpm: 2211.01095]",
        choices=SAMPLERS,
        concerns=DRAWN,
        group="Diffusion",
    )
    sampling_steps: int | None = option(
        None,
        help="Diffusion: steps of the sampler, network evaluations an image; the generator's own if not given, "
        "of what pretrain wrote 20.",
        minimum=1,
        concerns=DRAWN,
        group="Diffusion",
    )

    generator_precision: str = option(
        "auto",
        help="Precision that the generator computes in; auto is bf16 on a GPU that has it, else fp32. fp16 is for "
        "drawing alone. Samples of another precision are other samples: a set or a run keeps to one.",
        choices=PRECISIONS,
        concerns=DRAWN,
        group="Computing",
    )

    def sampling_options(self) -> dict[str, Any]:
        """The options that were given, by name; a kind of generator that does not take one of them says so."""
        return {n: v for n, v in (("sampler", self.sampler), ("sampling_steps", self.sampling_steps)) if v is not None}


@dataclass(kw_only=True)
class ConditionConfig(SamplingConfig):
    """What a generator draws samples of, where it takes classes or prompts."""

    classes: list[str] = option(
        [],
        help="Class-conditional pipelines: what to draw from: a class, a range (0-9), or a text file with one of them "
        "a line; may be repeated.",
        metavar="N|A-B|FILE",
        concerns=DRAWN,
        group="Classes and prompts",
    )
    prompts: str | None = option(
        None,
        help="Text-to-image pipelines: a text file with a prompt a line, or a Parquet file with a column prompt, text "
        "or caption. Sample i is of prompt i, and so on in turn.",
        metavar="FILE",
        concerns=DRAWN,
        group="Classes and prompts",
    )
    guidance_scale: float | None = option(
        None,
        help="Guidance scale, of pipelines with classifier-free guidance.",
        minimum=0,
        concerns=DRAWN,
        group="Classes and prompts",
    )

    def sampling_options(self) -> dict[str, Any]:
        own = {
            "guidance_scale": self.guidance_scale,
            "classes": parse_classes(self.classes),
            "prompts": None if self.prompts is None else read_prompts(self.prompts),
        }
        return super().sampling_options() | {n: v for n, v in own.items() if v not in (None, [])}


@dataclass(kw_only=True)
class SourceConfig(ConditionConfig):
    """How any generator draws: these options are for pretrained pipelines too."""

    image_size: int | None = option(
        None,
        help="Pretrained pipelines: pixels a side to resize to; their own if not given.",
        minimum=8,
        group="Generator",
    )
    allow_pickle: bool = option(
        False, help="Load pickled weights, which can run code; safetensors alone otherwise.", group="Generator"
    )
    trust_remote_code: bool = option(False, help="Run code that comes with a pipeline.", group="Generator")

    def sampling_options(self) -> dict[str, Any]:
        own = {} if self.image_size is None else {"image_size": self.image_size}
        flags = {name: True for name in ("allow_pickle", "trust_remote_code") if getattr(self, name)}
        return super().sampling_options() | own | flags
