"""The whole story on small images: one generator, and the comparison of three regimes that start from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .comparison.compare import compare
from .configs.compare import CompareConfig
from .configs.demo import DemoConfig
from .configs.pretrain import PretrainConfig
from .pretraining import pretrain


def demo(config: DemoConfig) -> dict[str, Any]:
    """Pretrain, generate, train in each regime with three seeds, evaluate, compare. Run again, it continues.

    Returns:
        What `compare` returns.
    """
    out = Path(config.out)
    shared: dict[str, Any] = {
        "data": config.data,
        "image_size": config.image_size,
        "batch_size": config.batch_size,
        "seed": config.seed,
    }
    generator = str(out / "generator")
    pretrain(PretrainConfig(**shared, out=generator, steps=config.pretrain_steps, sample_every=100))
    return compare(
        CompareConfig(
            **shared,
            out=str(out / "comparison"),
            generator=generator,
            seeds=config.seeds,
            steps=config.train_steps,
            backbone="resnet10-w16",
            views="digits",
        )
    )
