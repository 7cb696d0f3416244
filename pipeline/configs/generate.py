"""Options of `synthcl generate`."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..options import option
from . import common
from .sampling import SourceConfig


@dataclass(kw_only=True)
class GenerateConfig(SourceConfig):
    generator: str = option(
        help="A generator: a run of `pretrain`, a diffusers pipeline (folder or hub id), or package.module:Class.",
        metavar="DIR|HUB_ID",
        group="Generator",
    )
    num_samples: int = option(help="Latents to draw.", minimum=1, group="Shard set")
    out: str = option(help="Folder of the shard set.", metavar="DIR", group="Shard set")
    pairs: bool = option(False, help="Two similar images of each latent instead of one.", group="Pairs")
    pair_strength: float = option(
        0.3,
        help="How far the second of a pair is from the first: near 0 the same, 1 another sample. A GAN draws it from a "
        "latent that far away; diffusion noises the first that part of the way and denoises it again. Ours.",
        above=0,
        maximum=1,
        needs="pairs",
        group="Pairs",
    )
    samples_per_shard: int = option(10_000, help="Samples in each tar but the last.", minimum=1, group="Shard set")
    format: str = option(
        "png", help="Image format; png is lossless.", choices=("png", "jpg", "webp"), group="Shard set"
    )
    quality: int | None = option(
        None,
        help="Quality of jpg and webp, 1 to 100.",
        minimum=1,
        maximum=100,
        needs="format=jpg|webp",
        group="Shard set",
    )
    batch_size: int = option(256, help="Latents a forward pass.", minimum=1, group="Computing")
    num_jobs: int = option(
        1, help="Separate jobs that fill the set together, on a shared disk.", minimum=1, group="Shard set"
    )
    job_index: int = option(0, help="Which of them this is, from 0.", minimum=0, group="Shard set")
    workers: int | None = option(
        None, help="Processes that encode images; one a core if not given.", minimum=0, group="Computing"
    )
    seed: int = common.seed_option("Shard set")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.job_index >= self.num_jobs:
            raise UsageError(
                f"--job-index {self.job_index} is none of --num-jobs {self.num_jobs}; they are numbered from 0"
            )
