"""Options of `synthcl generate`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError
from ..options.config import option
from . import common
from .ray import RayConfig
from .sampling import SourceConfig, try_class

SLURM_OWN = {
    "array": "--num-jobs says how many jobs there are",
    "partition": "give --partition",
    "time": "give --time",
    "parsable": "the job's id is printed in any case",
    "wrap": "the jobs run `synthcl generate`",
}
"""Options of sbatch that are not for `--slurm-option`, and what to do instead."""
_SLURM_NAME = re.compile(r"[a-z][a-z0-9-]*")
PAIR_STRENGTH = 0.3
"""How far the images of a sample are from the first. Ours."""


@dataclass(kw_only=True)
class GenerateConfig(RayConfig, SourceConfig):
    generator: str = option(
        help="A generator: a run of `pretrain`, one pushed to the hub (hf://USER/NAME), a diffusers pipeline (folder "
        "or hub id), or package.module:Class.",
        metavar="DIR|HUB_ID",
        group="Generator",
    )
    num_samples: int | None = option(
        None, help="Latents to draw. Must be given, but for --anchors with --per-anchor.", minimum=1, group="Shard set"
    )
    out: str = option(
        help="Folder of the shard set, or its URL in an object store: s3://BUCKET/SET.",
        metavar="DIR|URL",
        group="Shard set",
    )
    anchors: str | None = option(
        None,
        help="Variations of these real images instead of samples: sample i of image i, in turn, which it is a positive "
        "of in training [CLSP: 2408.16965]. Of diffusion, which puts noise into an image and takes it out again.",
        metavar="SPEC",
        group="Anchors",
    )
    anchor_strength: float = option(
        0.5,
        help="How far a variation is from its image: near 0 the same, at 1 it has nothing of it. Ours.",
        above=0,
        maximum=1,
        needs="anchors",
        group="Anchors",
    )
    per_anchor: int | None = option(
        None,
        help="Variations of each of the images: that many times as many samples as there are images, in place of "
        "--num-samples.",
        minimum=1,
        needs="anchors",
        instead_of="num_samples",
        group="Anchors",
    )
    data_root: str | None = common.data_root_option("Anchors", needs="anchors")
    pairs: bool = option(False, help="Two similar images of each latent instead of one.", group="Pairs")
    images_per_sample: int | None = option(
        None,
        help="Similar images of each latent, mutual positives: more than the 2 of --pairs.",
        minimum=1,
        maximum=64,
        instead_of="pairs",
        group="Pairs",
    )
    group_by: str = option(
        "latent",
        help="What the images of a sample share: the latent, near which all of them are, or no more than its class or "
        "prompt [StableRep: 2306.00984].",
        choices=("latent", "condition"),
        needs="pairs",
        group="Pairs",
    )
    pair_strength: float = option(
        PAIR_STRENGTH,
        help="How far the others of a sample are from the first: near 0 the same, 1 another sample. A GAN draws them "
        "from latents that far away; diffusion noises the first that part of the way and denoises it again. Ours.",
        above=0,
        maximum=1,
        needs=("pairs", "group_by=latent"),
        group="Pairs",
    )
    write_labels: bool = option(
        False,
        help="Write what each sample was drawn for into the tars too, as webdataset and datasets read it: its class as "
        "KEY.cls, its prompt as KEY.txt. The sidecars have both in any case.",
        group="Shard set",
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
    executor: str = option(
        "local",
        help="Who writes the set: this process (local), the workers of a Ray cluster, each shard by one that is free "
        "(ray), or an array of Slurm jobs (slurm).",
        choices=("local", "ray", "slurm"),
        group="Executor",
    )
    num_jobs: int = option(
        1,
        help="Separate jobs that fill the set together, on a shared disk or in an object store: job i of N writes the "
        "shards i, i + N, ...",
        minimum=1,
        needs="executor=local|slurm",
        group="Executor",
    )
    job_index: int = option(
        0, help="Which of them this is, from 0.", minimum=0, needs="executor=local", group="Executor"
    )
    partition: str | None = option(None, help="Slurm's partition.", needs="executor=slurm", group="Executor")
    time: str | None = option(
        None,
        help="Time limit of each Slurm job, as sbatch takes it: 4:00:00. A job that reaches it is begun anew while "
        "there is progress.",
        metavar="TIME",
        needs="executor=slurm",
        group="Executor",
    )
    slurm_option: list[str] = option(
        [],
        help="Another option of sbatch, such as gres=gpu:1; may be repeated.",
        metavar="KEY[=VALUE]",
        needs="executor=slurm",
        group="Executor",
    )
    submit: bool = option(
        True,
        help="Submit the batch script; --no-submit writes it alone.",
        needs="executor=slurm",
        group="Executor",
    )
    workers: int | None = option(
        None, help="Processes that encode images; one a core if not given.", minimum=0, group="Computing"
    )
    seed: int = common.seed_option("Shard set")

    def __post_init__(self) -> None:
        if self.images_per_sample == 1 and self.pairs:
            raise UsageError("--pairs is two images a sample; it cannot be given with --images-per-sample 1")
        if isinstance(self.images_per_sample, int) and self.images_per_sample > 1:
            self.pairs = True  # what the options of groups need
        super().__post_init__()
        if self.num_samples is None and self.per_anchor is None:
            also = ", or --per-anchor variations of each" if self.anchors is not None else ""
            raise UsageError(f"Missing option '--num-samples': latents to draw{also}")
        if self.num_samples is not None and self.per_anchor is not None:
            raise UsageError(
                f"--num-samples {self.num_samples} and --per-anchor {self.per_anchor} both say how many samples there "
                "are; give one of them"
            )
        if self.anchors is not None and (self.group_by != "latent" or self.pair_strength != PAIR_STRENGTH):
            name = "pair-strength" if self.group_by == "latent" else "group-by"
            raise UsageError(
                f"--{name} is for samples of the generator's own; how far those of --anchors are from their images is "
                "--anchor-strength"
            )
        if self.job_index >= self.num_jobs:
            raise UsageError(
                f"--job-index {self.job_index} is none of --num-jobs {self.num_jobs}; they are numbered from 0"
            )

        self._check_executor()

    def try_out(self) -> None:
        try_class(self.generator, self)

    def _check_executor(self) -> None:
        """Raises UsageError for what sbatch could not read, or has an option of its own here."""
        for name, value in (("partition", self.partition), ("time", self.time)):
            if value is not None and (not value or not value.isprintable()):
                raise UsageError(f"--{name} {value!r} is nothing that sbatch takes")
        for one in self.slurm_option:
            name, equals, value = one.partition("=")
            if not _SLURM_NAME.fullmatch(name) or (equals and not value) or not value.isprintable():
                raise UsageError(f"--slurm-option {one!r} is not of the form KEY=VALUE or KEY, such as gres=gpu:1")
            if name in SLURM_OWN:
                raise UsageError(f"--slurm-option {one} cannot be given; {SLURM_OWN[name]}")

    @property
    def group_size(self) -> int:
        """Images of a sample, V."""
        return self.images_per_sample or (2 if self.pairs else 1)
