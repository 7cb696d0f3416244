"""The whole story on small images: one generator, and the comparison of three regimes that start from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..configs.compare import CompareConfig
from ..configs.demo import DemoConfig
from ..configs.pretrain import PretrainConfig
from ..progress.line import is_main_process
from ..progress.overall import Overall, Part, overall_progress
from ..training.pretrain import pretrain
from .compare import compare
from .execution import count_images, kept_budget, length, steps_per_epoch
from .plan import make_budget
from .progress import plan_overall, steps_done

PRETRAINING = "pretrain"
"""The part, and what its progress is called."""
PICTURE_EVERY = 100
"""Steps of the generator between two pictures. Ours."""


def demo(config: DemoConfig) -> dict[str, Any]:
    """Pretrain, generate, train in each regime, evaluate, compare. Run again, it continues.

    The images are few, so that there is something for synthetic ones to add; nearest neighbours decide, since a linear
    probe of all labels reads digits nearly as well from untrained weights.

    Returns:
        What `compare` returns.
    """
    out = Path(config.out)
    shared: dict[str, Any] = {
        "data": config.data,
        "data_root": config.data_root,
        "image_size": config.image_size,
        "batch_size": config.batch_size,
        "seed": config.seed,
    }
    pretraining = PretrainConfig(
        **shared, out=str(out / "generator"), steps=config.pretrain_steps, sample_every=PICTURE_EVERY
    )
    comparing = CompareConfig(
        **shared,
        out=str(out / "comparison"),
        generator=pretraining.out,
        seeds=config.seeds,
        steps=config.train_steps,
        backbone="resnet10-w16",
        views="digits",
        metric="knn",
        primary="online-real",
        label_fraction=[1.0],
    )
    with overall_progress(enabled=is_main_process()) as overall:
        _plan(overall, pretraining, comparing)
        with overall.part(PRETRAINING):
            pretrain(pretraining)
        return compare(comparing)


def _plan(overall: Overall, pretraining: PretrainConfig, comparing: CompareConfig) -> None:
    """Have the overall progress know all that is to be done, before there is a generator."""
    overall.plan(
        [
            Part(
                PRETRAINING,
                "pretraining of the generator",
                PRETRAINING,
                pretraining.steps,
                pretraining.batch_size,
                steps_done(pretraining.out, pretraining.steps),
                label=PRETRAINING,
            )
        ]
    )
    assert comparing.data is not None, "the demo names it"
    budget = kept_budget(comparing) or make_budget(comparing, length(comparing), steps_per_epoch)
    plan_overall(overall, comparing, budget, count_images(comparing, comparing.data, comparing.image_size))
