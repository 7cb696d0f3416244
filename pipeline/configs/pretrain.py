"""Options of `synthcl pretrain`."""

from __future__ import annotations

from dataclasses import dataclass

from ...generators import generator_kinds
from ..errors import UsageError
from ..options.config import option
from . import common
from .sampling import SamplingConfig


@dataclass(kw_only=True)
class PretrainConfig(SamplingConfig):
    data: str = common.data_option()
    out: str = option(
        help="Folder of the run; it is also what --generator takes.", metavar="DIR", may_change=True, group="Records"
    )
    generator: str = option("gan", help="Kind of generator.", choices=generator_kinds(), group="Generator")
    preset: str = option(
        "auto",
        help="Size of the networks and how they are trained: tiny, small, base (gan: plain and large too). auto is "
        "plain (gan) or tiny (diffusion) up to 16 pixels, and on a CPU at any size, else base.",
        metavar="NAME",
        group="Generator",
    )
    flip: bool = option(
        False, help="Diffusion: mirror half of the images, where left and right mean the same.", group="Diffusion"
    )
    bf16: bool = option(False, help="Former name of --generator-precision bf16.", may_change=True, group="Computing")
    image_size: int | None = common.image_size_option()
    steps: int = option(20_000, help="Updates of the generator.", minimum=1, may_change=True, group="Training")
    batch_size: int = option(64, help="Real images a step, over all processes.", minimum=2, group="Training")
    learning_rate: float | None = option(
        None, help="Learning rate of all the networks; the preset's if not given.", above=0, group="Training"
    )
    generator_learning_rate: float | None = option(
        None, help="GAN: learning rate of the generator alone, instead of --learning-rate.", above=0, group="GAN"
    )
    discriminator_learning_rate: float | None = option(
        None, help="GAN: learning rate of the discriminator alone, instead of --learning-rate.", above=0, group="GAN"
    )
    decay: float | None = option(
        None,
        help="Last part of the steps over which learning rates fall to 0, along a half cosine; 0 is none, and the "
        "preset's if not given.",
        minimum=0,
        maximum=1,
        group="Training",
    )
    ema_decay: float | None = option(
        None,
        help="Decay of the moving average of weights; the preset's if not given.",
        minimum=0,
        below=1,
        group="Generator",
    )
    discriminator_preset: str | None = option(
        None,
        help="GAN: size and learning rate of the discriminator (plain, tiny, small, base, large); those of --preset "
        "if not given.",
        metavar="NAME",
        group="GAN",
    )
    gamma: float | None = option(
        None,
        help="GAN: weight of the gradient penalties on the discriminator; the preset's if not given.",
        minimum=0,
        group="GAN",
    )
    final_gamma: float | None = option(
        None, help="GAN: what --gamma comes to at the last step, by an equal factor each step.", above=0, group="GAN"
    )
    penalty_every: int | None = option(
        None,
        help="GAN: gradient penalties on one step in N, with N times the weight (lazy regularisation); the preset's if "
        "not given.",
        minimum=1,
        group="GAN",
    )
    beta1: float | None = option(
        None, help="GAN: beta1 of Adam; the preset's if not given.", minimum=0, below=1, group="GAN"
    )
    beta2: float | None = option(
        None, help="GAN: beta2 of Adam; the preset's if not given.", minimum=0, below=1, group="GAN"
    )
    final_beta2: float | None = option(
        None,
        help="GAN: what --beta2 comes to at the last step, 1 - beta2 by an equal factor each step.",
        minimum=0,
        below=1,
        group="GAN",
    )
    augment: str | None = option(
        None,
        help="GAN: what the discriminator sees is augmented by: colour, translation, cutout, with commas between them, "
        "or none; the preset's if not given.",
        metavar="PARTS",
        group="GAN",
    )
    sample_every: int = option(
        1000, help="Steps between sample grids (samples/*.png).", minimum=1, may_change=True, group="Records"
    )
    data_root: str | None = common.data_root_option()
    cache: str = common.cache_option()
    log_every: int = common.log_every_option()
    eval_every: int | None = option(
        None,
        help="Steps between measurements of samples against real images: Fréchet distance, precision and recall in the "
        "features of --eval-encoder; at the end alone if not given.",
        minimum=1,
        may_change=True,
        group="Evaluation",
    )
    eval_encoder: str | None = option(
        None,
        help="An encoder of real images alone to measure samples with: a run of `synthcl train`, or random:BACKBONE, "
        "of random weights.",
        metavar="RUN",
        may_change=True,
        group="Evaluation",
    )
    eval_samples: int = option(
        common.EVAL_SAMPLES,
        help="Samples to measure in the features of --eval-encoder, and real images to compare them with; at most half "
        "of those there are.",
        minimum=10,
        may_change=True,
        needs="eval_encoder",
        group="Evaluation",
    )
    tracker: list[str] = common.tracker_option()
    checkpoint_every: int = common.checkpoint_every_option(1000)
    keep: int = common.keep_option()
    push: str | None = common.push_option()
    private: bool = common.private_option(needs="push")
    license: str | None = common.license_option(needs="push")
    seed: int = common.seed_option("Training")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bf16:
            if self.generator_precision not in ("auto", "bf16"):
                raise UsageError(
                    "--bf16 is the former name of --generator-precision bf16; it cannot be given with "
                    f"--generator-precision {self.generator_precision}"
                )
            self.generator_precision = "bf16"
        if self.eval_encoder is None and self.eval_every is not None:
            raise UsageError(
                "--eval-every measures samples in the features of an encoder of real images: give --eval-encoder RUN. "
                f"To make one: synthcl train --data {self.data} --epochs 3 --backbone resnet10-w32 --out RUN"
            )
