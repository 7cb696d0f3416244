"""Options of a training in any regime: `train` has them, and each training of a comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...learners import backbone_names, learner_names
from ...learners.recipe import OPTIMIZERS
from ...learners.registry import check_backbone_name, learner_takes_local_views, learner_uses_labels
from ..errors import UsageError
from ..options.config import option
from ..options.types import default_of
from ..views.presets import LEAST_LOCAL_SIZE, LOCAL_SIZE, PRESETS
from . import common
from .concerns import concerns
from .joint import JointConfig
from .learner_options import check_heeded, checked_learner_options, refuse_for
from .recipes import RECIPES, contradiction
from .regimes import JOINT, REGIMES, RESIZABLE, SYNTHETIC

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(kw_only=True)
class TrainingConfig(JointConfig):
    """What a training is in any regime, and what it is once it is online."""

    data: str = common.data_option()
    out: str = option(help="Folder of the run.", metavar="DIR", may_change=True, group="Records")

    recipe: str | None = option(
        None,
        help="Published way to use generated images, as the options that it sets: adainf is --views adainf, "
        "--synthetic-ratio 2 and --no-pairs, with samples treated as real images are.",
        choices=tuple(RECIPES),
        concerns=SYNTHETIC,
        group="Synthetic images in the loss",
    )
    synthetic_ratio: float = option(
        0.5,
        help="Latents a real image: 0.5 is one for two images.",
        above=0,
        maximum=1000,
        concerns=SYNTHETIC,
        group="Synthetic images in the loss",
    )
    resize_samples: bool = option(
        False,
        help="Bring samples of another size to that of the real images, bilinearly with antialiasing, where they would "
        "be refused without.",
        concerns=RESIZABLE,
        group="Synthetic images in the loss",
    )
    synthetic_loss: str = option(
        "ppcl",
        help="Loss of synthetic views: ppcl, the paper's (arXiv 2202.06464), which is the learner's own, as for real "
        "views; or clsp (simclr, moco, supcon), which draws a latent's views together and uses none as a negative.",
        choices=("ppcl", "clsp"),
        concerns=SYNTHETIC,
        group="Synthetic images in the loss",
    )
    synthetic_weight: float | None = option(
        None,
        help="Weight of the mean loss of synthetic views beside the mean loss of real ones; if not given, one mean "
        "over all views, and for clsp its authors' weight: 1 for simclr, 0.5 for moco.",
        minimum=0,
        concerns=SYNTHETIC,
        group="Synthetic images in the loss",
    )
    synthetic_negatives: bool = option(
        True,
        help="Compare real views with synthetic ones too, as negatives (simclr, supcon).",
        concerns=SYNTHETIC,
        group="Synthetic images in the loss",
    )
    separate_batchnorm: bool = option(
        False,
        help="Normalise synthetic views by themselves; running statistics follow the real ones.",
        concerns=SYNTHETIC,
        group="Synthetic images in the loss",
    )

    learner: str = option(
        "simclr",
        help="Method of contrastive learning, or a class of your own.",
        choices=learner_names(),
        or_class=True,
        group="Learner",
    )
    learner_option: dict[str, Any] = option(
        {},
        help="Set one of the method's own numbers, such as momentum=0.999 (moco, mocov3, byol, dino) or "
        "off_diagonal_weight=0.01 (barlow); may be repeated. A name that the method does not have is answered with "
        "those that it has.",
        metavar="NAME=VALUE",
        group="Learner",
    )
    backbone: str = option(
        "resnet18",
        help="Encoder: resnet10 (one block a stage, ours), resnet18, resnet34, resnet50, timm:NAME; -wN makes it N "
        "channels wide in the first stage instead of 64 (resnet10-w16).",
        metavar="NAME",
        suggestions=backbone_names(),
        group="Learner",
    )
    temperature: float | None = option(
        None, help="Temperature of the loss; the method's own if not given.", above=0, group="Learner"
    )
    queue_size: int | None = option(
        None,
        help="Negatives in the queue (moco), or embeddings in the support set (nnclr); the method's own if not given.",
        minimum=1,
        group="Learner",
    )
    views: str | None = option(
        None,
        help="Augmentation preset; the learner's published one if not given.",
        choices=tuple(PRESETS),
        group="Learner",
    )
    views_per_image: int = option(
        2,
        help="Views of each image in a step, real or synthetic; all of an image's views are positives.",
        minimum=2,
        maximum=16,
        group="Learner",
    )
    view_size: int | None = option(
        None,
        help="Pixels a side of views, which are what the encoder takes, cropped from images of --image-size: 224 from "
        "256 is usual. As many as the images have if not given.",
        minimum=8,
        group="Learner",
    )
    local_views: int = option(
        0,
        help="Small views of small parts of each image, beside the others (multi-crop, dino): the student sees all, "
        "the teacher the others alone. Their authors take 6 to 10.",
        minimum=0,
        maximum=16,
        group="Learner",
    )
    local_size: int | None = option(
        None,
        help="Pixels a side of local views; if not given 96 of 224, and in proportion 16 of 32. A vision transformer "
        "takes multiples of its patches.",
        minimum=LEAST_LOCAL_SIZE,
        needs="local_views",
        group="Learner",
    )
    adversarial: float | None = option(
        None,
        help="Train on adversarial views of the real images too (CLAE, arXiv 2010.12050), each pixel moved by this "
        "part of its range towards a higher loss, for one more forward and backward pass. CLAE's 0.03 of [-1, 1]"
        " is 0.015 here.",
        metavar="EPS",
        above=0,
        maximum=1,
        group="Learner",
    )

    epochs: int | None = option(
        None,
        help="Passes over the real images; give this or --steps.",
        minimum=1,
        may_change=True,
        group="Training",
    )
    steps: int | None = option(
        None,
        help="Optimizer steps, instead of --epochs.",
        minimum=1,
        instead_of="epochs",
        may_change=True,
        group="Training",
    )
    batch_size: int = option(256, help="Real images a step, over all processes.", minimum=2, group="Training")
    accumulate: int = option(
        1,
        help="Parts in which a batch goes through the encoder, to save memory, for one more forward pass. Loss and "
        "gradient are those of the whole batch, with all its negatives; batch statistics are each part's.",
        minimum=1,
        group="Training",
    )
    image_size: int | None = common.image_size_option()
    optimizer: str | None = option(
        None,
        help="Optimizer of the learner, with its own learning rate and weight decay; the method's own if not given.",
        choices=tuple(OPTIMIZERS),
        group="Training",
    )
    learning_rate: float | None = option(
        None,
        help="Learning rate for a batch of 256, scaled with --batch-size; the optimizer's own if not given.",
        above=0,
        group="Training",
    )
    weight_decay: float | None = option(
        None, help="Weight decay; the optimizer's own if not given.", minimum=0, group="Training"
    )
    decay_norms: bool | None = option(
        None,
        help="Weight decay on biases and normalisation layers too; the optimizer's own way if not given.",
        group="Training",
    )
    layer_decay: float | None = common.layer_decay_option("Training")
    clip_gradients: float | None = option(
        None,
        help="Maximum gradient norm of the learner (2-norm over all weights); no clipping if not given.",
        metavar="NORM",
        above=0,
        group="Training",
    )
    warmup_epochs: float = option(
        10.0,
        help="Epochs of linear warm-up, or a tenth of the training where that is less; 10 is solo-learn's.",
        minimum=0,
        group="Training",
    )

    precision: str = option(
        "auto",
        help="Precision that the learner computes in; auto is bf16 where the device has it, else fp32.",
        choices=common.PRECISIONS,
        group="Computing",
    )
    compile: bool = option(
        False,
        help="Compile the learner and the views with torch.compile: minutes before the first steps. It pays for small "
        "images on a CPU; on a GPU it has not been timed. The generator stays as it is: compiled, it was slower on a "
        "CPU. Not with --accumulate or --adversarial, which torch.compile does not take. TORCHINDUCTOR_CUDAGRAPHS=1 in "
        "the environment has it launch CUDA graphs, which nobody has run yet.",
        group="Computing",
    )
    sync_batchnorm: bool = option(
        True, help="Take batch statistics over all processes rather than each its own.", group="Computing"
    )
    cache: str = common.cache_option()
    data_root: str | None = common.data_root_option()
    sample_every: int = option(
        1000,
        help="Steps between pictures of the generator's pairs (samples/*.png).",
        minimum=1,
        may_change=True,
        concerns=JOINT,
        group="Records",
    )
    log_every: int = common.log_every_option()
    eval_every: int | None = option(
        None,
        help="Steps between measurements of the accuracy of nearest neighbours (knn_top1 in metrics.jsonl), on parts "
        "of the train and test split of --data, which need labels; never if not given.",
        minimum=1,
        may_change=True,
        group="Records",
    )
    watch_features: int | None = option(
        None,
        help="Steps between measurements of the features of some training images (RankMe, alignment, uniformity, "
        "spread), which tell of collapse; none if not given.",
        metavar="N",
        minimum=1,
        may_change=True,
        group="Records",
    )
    tracker: list[str] = common.tracker_option()
    checkpoint_every: int = common.checkpoint_every_option(1000)
    keep: int = common.keep_option()
    seed: int = common.seed_option("Training")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._take_recipe()
        self._check_backbone()
        if self.learner_option or ":" in self.learner:  # torch is imported for these alone
            self.learner_option = checked_learner_options(self.learner, self.learner_option)
        if ":" in self.learner:
            self._check_heeded()
        if self.local_views:
            # This imports torch too.
            why = ", whose teacher sees whole views alone"
            refuse_for(self.learner, learner_takes_local_views, "--local-views", why)
        if self.compile and self.accumulate > 1:
            raise UsageError(
                "--compile cannot be given with --accumulate: torch.compile does not take parts computed twice"
            )
        if self.adversarial is not None and self.compile:
            raise UsageError(
                "--compile cannot be given with --adversarial, whose two passes differ in their batch statistics"
            )
        if self.synthetic_loss == "clsp":
            self._check_clsp()
        if self.hard_gate is not None:
            self._check_gate()
        self.check_needs()  # of what the recipe sets
        if self.pair_similarity is not None:
            self.pair_similarity_range()

    def refuse_without_need(self, fields: Iterable[dataclasses.Field]) -> None:
        # Of an option of another regime, that is what is to be said.
        super().refuse_without_need(f for f in fields if concerns(f, self.concerned()))

    def concerned(self) -> list[str]:
        """The regimes whose options mean something here."""
        return list(REGIMES)

    def _take_recipe(self) -> None:
        """Give the options that --recipe sets their values, those of them that mean something here.

        Raises:
            UsageError: one of them has another value.
        """
        if self.recipe is None:
            return
        for f in dataclasses.fields(self):
            if f.name not in RECIPES[self.recipe] or not concerns(f, self.concerned()):
                continue
            wanted = RECIPES[self.recipe][f.name]
            if getattr(self, f.name) not in (default_of(f), wanted):
                raise UsageError(contradiction(self.recipe, f.name, getattr(self, f.name)))
            setattr(self, f.name, wanted)

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> Self:
        config = super().from_values(values)
        if config.recipe is None:
            return config
        # A default that was given is a statement too, which a config does not tell from one that was not.
        for name in RECIPES[config.recipe]:
            given = values.get(name)
            if given is not None and default_of(cls.__dataclass_fields__[name]) == given != getattr(config, name):
                raise UsageError(contradiction(config.recipe, name, given))
        return config

    @property
    def whole_views(self) -> float:
        """How many views an image has, local ones counted by the part of the pixels that DINO's have."""
        return self.views_per_image + LOCAL_SIZE**2 * self.local_views

    def _check_backbone(self) -> None:
        try:
            check_backbone_name(self.backbone)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def _check_heeded(self) -> None:
        given = {
            "num_parts": f"--accumulate {self.accumulate}" if self.accumulate > 1 else None,
            "weight": None if self.synthetic_weight is None else f"--synthetic-weight {self.synthetic_weight}",
            "own_statistics": "--separate-batchnorm" if self.separate_batchnorm else None,
        }
        check_heeded(self.learner, self.learner_option, {name: flags for name, flags in given.items() if flags})

    def _check_clsp(self) -> None:
        if not self.synthetic_negatives:
            raise UsageError(
                "--synthetic-loss clsp uses no synthetic view as a negative anyway; --no-synthetic-negatives cannot be "
                "given with it"
            )

    def _check_gate(self) -> None:
        what = "--hard-gate compares the losses of synthetic and of real views, which"
        if self.synthetic_loss == "clsp":
            raise UsageError(f"{what} --synthetic-loss clsp makes two different ones; leave one of the two out")
        if not self.synthetic_negatives:
            raise UsageError(f"{what} --no-synthetic-negatives gives other negatives; leave one of the two out")
        if learner_uses_labels(self.learner):  # this imports torch too
            raise UsageError(
                f"{what} with --learner {self.learner} have as many positives as their classes have views; leave it "
                "out, or take a learner without labels"
            )

    def check_given(self, names: Iterable[str]) -> None:
        super().check_given(names)
        if "synthetic_negatives" in names and self.synthetic_loss == "clsp":
            raise UsageError("--synthetic-loss clsp has no synthetic negatives; leave --synthetic-negatives out")

    def check_length(self) -> None:
        """Raises UsageError unless there is one length of the training."""
        if (self.epochs is None) == (self.steps is None):
            raise UsageError("give the length of the training as either --epochs or --steps")

    def total_steps(self, steps_per_epoch: int) -> int:
        """The length of the training, in optimizer steps."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None  # `check_length` has seen to it
        return self.epochs * steps_per_epoch
