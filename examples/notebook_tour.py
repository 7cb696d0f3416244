"""A tour of synthcl from Python, as in a notebook: the cells (`# %%`) are what the command line does, on `digits`.

    python examples/notebook_tour.py OUT

A few seconds on a CPU. The trainings are far too short to say anything about the regimes: `compare` is for that.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from synthcl.pipeline import (
    TrainConfig,
    embed,
    evaluate,
    export,
    generate,
    load_encoder,
    open_generator,
    open_images,
    pretrain,
    read_metrics,
    train,
)


def main(out: Path) -> dict[str, float]:
    """Everything once; the accuracy of the linear probe by run."""
    # %% Images: any source, as one store with random access
    images = open_images("digits", image_size=8)
    print(len(images), "images of", images.image_size, "pixels; the first:", images.read([0]).shape)
    print("labels:", "none" if images.labels is None else images.labels[:10])

    # %% A generator, and samples of it in a shard set
    generator = pretrain(
        data="digits", image_size=8, preset="tiny", steps=20, batch_size=16, sample_every=20, out=str(out / "gan")
    )["run"]
    pictures = open_generator(generator)(open_generator(generator).sample_latents(4))
    print("samples:", pictures.shape, "in [-1, 1]")
    shards = generate(generator=generator, num_samples=64, pairs=True, workers=0, out=str(out / "shards"))["out"]

    # %% An encoder in each regime. Options go by name; a config checks them, and can be kept and changed.
    common: dict[str, Any] = {"data": "digits", "image_size": 8, "backbone": "resnet10-w8"}
    common |= {"steps": 20, "batch_size": 16}
    runs = {
        "real": train(TrainConfig(**common, out=str(out / "real"), eval_every=10))["run"],
        "offline": train(**common, shards=[shards], out=str(out / "offline"))["run"],
        "online": train(**common, online=True, generator=generator, out=str(out / "online"))["run"],
    }

    # %% What went on in a training: rows of numbers, for pandas or a plot
    for row in read_metrics(runs["real"]):
        print(row["step"], row["loss"], row.get("knn_top1"))

    # %% What the encoders are worth
    scores = {name: evaluate(run, "digits", task="linear")["top1"] for name, run in runs.items()}
    print("linear probe:", scores)
    print("kNN:", evaluate(runs["real"], "digits", task="knn", preset="dino")["top1"])
    print("precision:", evaluate(shards, "digits", task="quality", encoder=runs["real"], num_samples=64)["precision"])

    # %% Features of any images, as a tensor, or of whole sets as a table and a picture
    features = load_encoder(runs["real"])(images.read(range(10)))
    print("features:", features.shape)
    embed(
        runs["real"], data=["digits:test", shards], num_images=100, out=str(out / "embeddings.parquet"),
        picture=str(out / "embeddings.png"), method="pca",
    )  # fmt: skip

    # %% The encoder for others: weights, configuration and a model card
    print(export(runs["real"], to="safetensors", out=str(out / "encoder"))["loading"])
    return scores


if __name__ == "__main__":
    main(Path(sys.argv[1]))
