"""The whole story on small images: one generator, one shard set, three regimes, one table and one picture."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from .configs.demo import DemoConfig
from .configs.generate import GenerateConfig
from .configs.pretrain import PretrainConfig
from .configs.train import TrainConfig
from .demo_picture import draw_picture
from .evaluation import evaluate_knn, evaluate_linear
from .files import write_json
from .generation import generate
from .pretraining import pretrain
from .training import train

log = logging.getLogger(__name__)

REGIMES = ("real", "offline", "online")


def demo(config: DemoConfig) -> dict[str, Any]:
    """Pretrain, generate, train in each regime, evaluate; see `synthcl demo`. Run again, it continues.

    Returns:
        `rows`, one for each regime and for the untrained encoder, with `regime, linear, knn, loss, seconds, command`,
        and `picture`, `seconds`, `out`.
    """
    out = Path(config.out)
    shared = {"data": config.data, "image_size": config.image_size, "seed": config.seed}
    seconds = {}
    generator, shards = out / "generator", out / "shards"
    steps = PretrainConfig(
        **shared, out=str(generator), steps=config.pretrain_steps, batch_size=config.batch_size, sample_every=100
    )
    seconds["pretrain"] = pretrain(steps)["seconds"]
    samples = config.train_steps * config.batch_size // 2
    seconds["generate"] = generate(
        GenerateConfig(generator=str(generator), num_samples=samples, out=str(shards), pairs=True, seed=config.seed)
    )["seconds"]
    rows = []
    for regime in REGIMES:
        result = train(_training(config, shared, regime, out))
        rows.append({"regime": regime, **_scores(result["run"], config), **{n: result[n] for n in ("loss", "seconds")}})
    untrained = _scores(str(out / REGIMES[0]), config, untrained=True)
    rows.insert(0, {"regime": "untrained", **untrained, "loss": None, "seconds": 0.0})
    picture = out / "demo.png"
    draw_picture(picture, config, rows, {regime: out / regime for regime in REGIMES}, generator)
    seconds["train"] = sum(row["seconds"] for row in rows)
    result = {"out": str(out), "rows": rows, "picture": str(picture), "seconds": seconds}
    write_json(out / "demo.json", result)
    return result


def _training(config: DemoConfig, shared: dict[str, Any], regime: str, out: Path) -> TrainConfig:
    sources: dict[str, dict[str, Any]] = {
        "real": {},
        "offline": {"shards": [str(out / "shards")]},
        "online": {"online": True, "generator": str(out / "generator")},
    }
    return TrainConfig(
        **shared,
        **sources[regime],
        out=str(out / regime),
        steps=config.train_steps,
        batch_size=config.batch_size,
        backbone="resnet10-w16",
        views="digits",
        sample_every=config.train_steps,
    )


def _scores(run: str, config: DemoConfig, *, untrained: bool = False) -> dict[str, float]:
    linear = evaluate_linear(run, config.data, untrained=untrained)
    knn = evaluate_knn(run, config.data, untrained=untrained)
    return {"linear": linear["top1"], "knn": knn["top1"]}
