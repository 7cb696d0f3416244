"""Options of joint training: the pairs, hard samples, the guard, and how the generator goes on learning."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UsageError
from ..options.config import option
from . import common
from .regimes import DRAWN, JOINT
from .sampling import ConditionConfig

LATENT_RADIUS = 0.3
"""As far as the second latent of a pair is from the first (`synthcl generate --pairs`). Ours."""

OBJECTIVES = ("loss", "real-negatives", "alignment")
"""What the generator may be asked to raise; see `regimes.hardness`."""


@dataclass(kw_only=True)
class JointConfig(ConditionConfig):
    """What `--online` takes beside the options of any training; those of pairs are for `--fresh` too.

    Defaults that are ours: a bound of 0.5 on hard gradients without their common part. With them `online` was 1.8
    points of linear accuracy better than `real` (95% interval 1.4 to 2.2) on a tenth of CIFAR-10 at 16 pixels, 30
    epochs, six seeds, with a GAN of all images; beside `real` in as many views no difference was found (-1.1 to +0.2):
    benchmarks/online. The bound was 0.2 before, and was chosen with GANs; with diffusion neither was compared.
    """

    pairs: bool = option(
        True,
        help="Two similar images of each latent, mutual positives: of the generator and its moving average (online), "
        "or of two latents near each other (fresh).",
        concerns=DRAWN,
        group="Pairs",
    )
    images_per_sample: int | None = option(
        None,
        help="Fresh: similar images of each latent, mutual positives; the 2 of a pair if not given. Online always has "
        "2, the generator's and its moving average's: that is the method (arXiv 2202.06464).",
        minimum=2,
        maximum=64,
        concerns=("fresh",),
        needs="pairs",
        group="Pairs",
    )
    pair_strength: float | None = option(
        None,
        help="How far the latent of a pair's second image is from the first's: 0 is the same, 1 another. "
        "[default: 0.3 for fresh, 0 for online]",
        minimum=0,
        maximum=1,
        concerns=DRAWN,
        needs="pairs",
        group="Pairs",
    )
    pair_ema_decay: float = option(
        0.999,
        help="Decay of the moving average that gives the second image of a pair.",
        minimum=0,
        below=1,
        concerns=JOINT,
        group="Pairs",
    )
    pair_similarity: str | None = option(
        None,
        help="Target of the pair's cosine similarity, from A at the start to B at the end; the decay follows it.",
        metavar="A:B",
        concerns=JOINT,
        needs="pairs",
        group="Pairs",
    )
    hard: bool = option(
        True,
        help="Train the generator towards samples that are hard for the learner.",
        concerns=JOINT,
        group="Hard samples",
    )
    hard_objective: str = option(
        "loss",
        help="What the generator raises: the learner's whole loss, each latent's own loss against real negatives, or "
        "the distance between each latent's views. With --synthetic-weight W real views count 1 / W in the whole loss.",
        choices=OBJECTIVES,
        concerns=JOINT,
        needs="hard",
        group="Hard samples",
    )
    hard_weight: float = option(
        1.0,
        help="Factor on the learner's gradient in the generator's, before --hardness-clip bounds it. Where the bound "
        "cuts every image (hard_clipped 1 in metrics.jsonl, usual with the defaults) it changes nothing: change that.",
        minimum=0,
        concerns=JOINT,
        needs=("hard", "hard_on=weights"),
        group="Hard samples",
    )
    hardness_clip: float = option(
        0.5,
        help="Bound of the learner's gradient, as a multiple of the realism gradient.",
        above=0,
        concerns=JOINT,
        needs=("hard", "hard_on=weights"),
        group="Hard samples",
    )
    hardness_clip_on: str = option(
        "images",
        help="Where that bound is taken: on each image's gradients, or on those of the generator's parameters.",
        choices=("images", "parameters"),
        concerns=JOINT,
        needs=("hard", "hard_on=weights"),
        group="Hard samples",
    )
    hard_centred: bool = option(
        True,
        help="Take off what the learner's gradients of all samples have in common.",
        concerns=JOINT,
        needs=("hard", "hard_on=weights"),
        group="Hard samples",
    )
    hard_gate: float | None = option(
        None,
        help="Drop the learner's gradient of latents whose loss exceeds that of real images by more than this, in the "
        "loss's own unit (nats); no gate if not given.",
        concerns=JOINT,
        needs=("hard", "hard_on=weights"),
        group="Hard samples",
    )
    hard_ramp: float = option(
        0.1,
        help="Part of training over which the bound rises from 0.",
        minimum=0,
        maximum=1,
        concerns=JOINT,
        needs="hard",
        group="Hard samples",
    )
    hard_freeze: float = option(
        0.0,
        help="Last part of training without the learner's gradient.",
        minimum=0,
        maximum=1,
        concerns=JOINT,
        needs="hard",
        group="Hard samples",
    )
    hard_on: str = option(
        "weights",
        help="What is moved towards harder samples: the generator's weights, or each latent by itself, for one more "
        "pass through the learner.",
        choices=("weights", "latents"),
        concerns=JOINT,
        needs="hard",
        group="Hard samples",
    )
    latent_radius: float = option(
        LATENT_RADIUS,
        help="How far a latent moves with --hard-on latents, as a part of its length.",
        above=0,
        maximum=1,
        concerns=JOINT,
        needs=("hard", "hard_on=latents"),
        group="Hard samples",
    )
    pair_floor: float | None = option(
        None,
        help="Drop the learner's gradient of latents whose pair has a cosine similarity below this.",
        minimum=-1,
        maximum=1,
        concerns=JOINT,
        needs=("hard", "hard_on=weights", "pairs"),
        group="Hard samples",
    )
    hard_guard: bool = option(
        True,
        help="Hold hardness back while the generator leaves its band: a discriminator at chance, samples that vary "
        "much less or more in colour than real images, or a Fréchet distance that grows. Without it hardness keeps its "
        "weight whatever comes.",
        concerns=JOINT,
        needs="hard",
        group="Hard samples",
    )
    eval_encoder: str | None = option(
        None,
        help="Measure the generator's samples against real images in the features of this encoder, of real images "
        "alone (a run of `synthcl train`, or random:BACKBONE, of random weights, which sees a drift too), and hold "
        "hardness back while their Fréchet distance grows.",
        metavar="RUN",
        concerns=JOINT,
        group="Training of the generator",
    )
    eval_samples: int = option(
        common.EVAL_SAMPLES,
        help="Samples to measure in the features of --eval-encoder, and real images to compare them with; at most half "
        "of those there are.",
        minimum=10,
        concerns=JOINT,
        needs="eval_encoder",
        group="Training of the generator",
    )
    guard_every: int | None = option(
        None,
        help="Steps between measurements with --eval-encoder; a twentieth of the training if not given.",
        minimum=1,
        concerns=JOINT,
        needs="eval_encoder",
        group="Training of the generator",
    )
    guard_goes_back: bool = option(
        True,
        help="Bring the generator back to its weights of the last good measurement when --eval-encoder finds its "
        "Fréchet distance far beyond the least, and leave a tenth of hardness. Without it hardness alone gives way.",
        concerns=JOINT,
        needs=("hard", "hard_guard", "eval_encoder"),
        group="Training of the generator",
    )
    generator_learning_rate: float | None = option(
        None,
        help="Learning rate of all that the generator trains, of a GAN its discriminator too (as --learning-rate of "
        "pretrain); what each was pretrained with if not given.",
        above=0,
        concerns=JOINT,
        group="Training of the generator",
    )
    discriminator_learning_rate: float | None = option(
        None,
        help="GAN: learning rate of the discriminator, where it is to be another than --generator-learning-rate.",
        above=0,
        concerns=JOINT,
        group="Training of the generator",
    )
    discriminator_augment: str = option(
        "auto",
        help="GAN: what the discriminator sees is augmented by: colour, translation, cutout, with commas between them, "
        "or none; pretrained is what it was pretrained with. auto is all three where it is to see each real image "
        "more than 100 times, since it learns them by heart without, and pretrained in shorter trainings.",
        metavar="PARTS",
        concerns=JOINT,
        group="Training of the generator",
    )
    lora_rank: int | None = option(
        None,
        help="Diffusion: train adapters of this rank instead of all weights.",
        minimum=1,
        concerns=JOINT,
        group="Training of the generator",
    )
    gradient_steps: int | None = option(
        None,
        help="Diffusion: last sampling steps that carry the gradient (DRaFT-K, arXiv 2309.17400), 1 if not given; "
        "memory and time grow with it.",
        minimum=1,
        concerns=JOINT,
        group="Training of the generator",
    )

    @property
    def group_size(self) -> int:
        """Images of a latent that is drawn at each step, V."""
        return (self.images_per_sample or 2) if self.pairs else 1

    def pair_similarity_range(self) -> tuple[float, float] | None:
        """The two ends of --pair-similarity."""
        if self.pair_similarity is None:
            return None
        try:
            start, end = (float(part) for part in self.pair_similarity.split(":"))
        except ValueError:
            start = end = 2.0
        if not (-1 <= start <= 1 and -1 <= end <= 1):
            raise UsageError(
                f"--pair-similarity takes two cosines, such as 0.95:0.7, each in [-1, 1], not {self.pair_similarity!r}"
            )
        return start, end
