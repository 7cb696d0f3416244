"""Options of `synthcl train`."""

from __future__ import annotations

from dataclasses import dataclass

from ...learners import learner_names
from ..errors import UsageError
from ..options import option
from ..views.presets import PRESETS
from . import common
from .sampling import SamplingConfig


@dataclass(kw_only=True)
class TrainingConfig(SamplingConfig):
    """What a training is in any regime, and what it is once it is online."""

    data: str = common.data_option()
    out: str = option(help="Folder of the run.", metavar="DIR", may_change=True)

    synthetic_ratio: float = option(0.5, help="Latents a real image: 0.5 is one for two images.", above=0)

    hard: bool = option(
        True, help="--online: samples that are hard for the learner (its loss, reversed, reaches the generator)."
    )
    pairs: bool = option(True, help="--online: positive pairs from the generator and its moving average.")
    hard_weight: float = option(1.0, help="--online: weight of the reversed gradient. Ours.", minimum=0)
    hard_ramp: float = option(
        0.1, help="--online: part of training over which that weight rises from 0. Ours.", minimum=0, maximum=1
    )
    hardness_clip: float = option(
        1.0,
        help="--online: bound of each image's reversed gradient, as a multiple of its realism gradient. Ours.",
        above=0,
    )
    pair_ema_decay: float = option(
        0.999, help="--online: decay of the moving average that gives the second of a pair. Ours.", minimum=0, below=1
    )
    pair_similarity: str | None = option(
        None,
        help="--online: target of the pair's cosine similarity, from A at the start to B at the end. Ours.",
        metavar="A:B",
    )
    generator_learning_rate: float | None = option(
        None, help="--online: of generator and discriminator; the kind's own if not given.", above=0
    )

    lora_rank: int | None = option(
        None, help="--online with diffusion: train adapters of this rank instead of all weights.", minimum=1
    )
    gradient_steps: int | None = option(
        None, help="--online with diffusion: last sampling steps that carry the gradient (DRaFT-K).", minimum=1
    )

    learner: str = option("simclr", help="Method of contrastive learning.", choices=learner_names())
    backbone: str = option(
        "resnet18", help="Encoder: resnet18, resnet34, resnet50, resnet10-w16, timm:NAME.", metavar="NAME"
    )
    temperature: float | None = option(None, help="Of the loss; the method's own if not given.", above=0)
    queue_size: int | None = option(
        None, help="Negatives in the queue (moco); the method's own if not given.", minimum=1
    )
    views: str | None = option(
        None, help="Augmentation preset; the learner's published one if not given.", choices=tuple(PRESETS)
    )

    epochs: int | None = option(None, help="Passes over the real images.", minimum=1, may_change=True)
    steps: int | None = option(
        None, help="Optimizer steps, instead of --epochs.", minimum=1, instead_of="epochs", may_change=True
    )
    batch_size: int = option(256, help="Real images a step, over all processes.", minimum=2)
    accumulate: int = option(
        1,
        help="Parts in which a batch goes through the encoder, to save memory, for one more forward pass. Loss and "
        "gradient are those of the whole batch, with all its negatives; batch statistics are each part's.",
        minimum=1,
    )
    image_size: int | None = common.image_size_option()
    learning_rate: float | None = option(
        None, help="For a batch of 256, scaled with --batch-size; the method's own if not given.", above=0
    )
    weight_decay: float | None = option(None, help="The method's own if not given.", minimum=0)
    warmup_epochs: float = option(
        10.0, help="Linear warm-up, at most a tenth of the training (10: solo-learn's).", minimum=0
    )

    precision: str = option(
        "auto", help="Of the learner: bf16 where the device has it, else fp32.", choices=common.PRECISIONS
    )
    compile: bool = option(False, help="Compile the learner with torch.compile.")
    sync_batchnorm: bool = option(True, help="Batch statistics over all processes rather than each its own.")
    cache: str = common.cache_option()
    data_root: str | None = common.data_root_option()
    sample_every: int = option(
        1000, help="--online: steps between pictures of its pairs (samples/*.png).", minimum=1, may_change=True
    )
    log_every: int = common.log_every_option()
    eval_every: int | None = option(
        None,
        help="Steps between accuracies of nearest neighbours, on parts of the train and test split of --data, to watch "
        "the training by; none if not given.",
        minimum=1,
        may_change=True,
    )
    tracker: list[str] = common.tracker_option()
    checkpoint_every: int = common.checkpoint_every_option(1000)
    keep: int = common.keep_option()
    seed: int = common.seed_option()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.compile and self.accumulate > 1:
            raise UsageError(
                "--compile cannot be given with --accumulate: torch.compile does not take parts computed twice"
            )
        if self.pair_similarity is not None and not self.pairs:
            raise UsageError("--pair-similarity is about pairs; it cannot be given with --no-pairs")
        if self.pair_similarity is not None:
            self.pair_similarity_range()

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

    def check_length(self) -> None:
        """Raises UsageError unless there is one length of the training."""
        if (self.epochs is None) == (self.steps is None):
            raise UsageError("give the length of the training as either --epochs or --steps")


@dataclass(kw_only=True)
class TrainConfig(TrainingConfig):
    """And where the synthetic samples come from: the regime."""

    shards: list[str] = option(
        [],
        help="A shard set of synthetic samples to stream (offline): a folder, or a URL such as s3://BUCKET/SET. "
        "May be repeated.",
        metavar="DIR",
    )
    shards_per_window: int = option(
        8,
        help="--shards at URLs: shards are shuffled, and the samples of so many that follow each other. More mix "
        "better, and need more of the cache. Ours.",
        minimum=1,
    )
    online: bool = option(False, help="Train the generator jointly and draw samples from it at each step.")
    generator: str | None = option(
        None, help="The generator to start --online from, as `pretrain` wrote it.", metavar="DIR"
    )
    replay: str | None = option(None, help="A recording of an online run, fed back in its order.", metavar="DIR")
    record: str | None = option(
        None, help="--online: write every synthetic sample that the learner sees to a shard set.", metavar="DIR"
    )
    where: str | None = option(
        None, help="--shards: only samples that meet an SQL condition on their columns.", metavar="EXPR"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_length()
        if self.online and self.generator is None:
            raise UsageError(
                "--online needs --generator DIR, a generator to train jointly; `synthcl pretrain` makes one"
            )
        if self.generator is not None and not self.online:
            raise UsageError("--generator is for --online; to use ready samples give --shards DIR")
        if self.online and self.shards:
            raise UsageError("--online draws its own samples; it cannot be given with --shards")
        if self.replay is not None and (self.online or self.shards):
            raise UsageError("--replay feeds back recorded samples; it cannot be given with --online or --shards")
        if self.record is not None and not self.online:
            raise UsageError("--record writes what an online run draws; give it with --online")
        if self.where is not None and not self.shards:
            raise UsageError("--where chooses samples of --shards; give it with a set")

    @property
    def regime(self) -> str:
        """`real`, `offline`, `online` or `replay`: where a batch's synthetic samples come from."""
        if self.online:
            return "online"
        if self.replay is not None:
            return "replay"
        return "offline" if self.shards else "real"
