"""What reading images a few steps ahead is worth: `train` as it is, and with each step's images read when it comes.

    python benchmarks/ahead.py --data tiny-imagenet-20:train --image-size 64 --backbone resnet18 --threads 1

One training on shards of JPEG files without the cache (`--shards`, `--cache none`), whose blocks of steps take turns:
`ahead` with the three steps that the package reads ahead, `in_turn` with none. A line of JSON: milliseconds a step,
their ratio within a round, and the time that reading a step's images takes by itself (`reading_ms`).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from speed import (
    PausedTraining,
    Stopwatch,
    add_common_options,
    contest,
    emit,
    environment,
    in_words,
    paused_trainings,
    ratio,
    say,
    settle,
    spread,
)
from torch import Tensor

from synthcl.pipeline.data import ahead, open_images
from synthcl.pipeline.shards import write_shard_set

DEPTHS = {"ahead": ahead.STEPS_AHEAD, "in_turn": 0}


def main() -> None:
    options = arguments()
    watch = Stopwatch(settle(options), options.clock)
    names = ("data", "backbone", "image_size", "batch_size", "precision")
    common = {name: getattr(options, name) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        shards = Path(folder) / "shards"
        store = open_images(options.data, image_size=options.image_size)
        count = min(len(store), options.num_samples)
        write_shard_set(shards, {}, count, 1000, lambda i: store.read(i)[:, None], workers=0, image_format="jpg")
        own = {"shards": [str(shards)], "cache": "none", "out": str(Path(folder) / "run")}
        with paused_trainings({"train": common | own}) as trainings, timed_reading() as seconds:
            contestants = {name: BlocksAtDepth(trainings["train"], steps, seconds) for name, steps in DEPTHS.items()}
            times, _ = contest(
                contestants, rounds=options.rounds, warmup=options.warmup, steps=options.steps, watch=watch
            )
    row = {
        **{f"{name}_ms": spread(each, 1e3) for name, each in times.items()},
        "in_turn_over_ahead": ratio(times["in_turn"], times["ahead"]),
        "reading_ms": spread(contestants["in_turn"].reading[options.warmup :], 1e3),
    }
    say("\n".join(f"{name:20s}{in_words(value)}" for name, value in row.items()))
    emit("ahead", options, row, environment())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_options(parser)
    parser.add_argument("--steps", type=int, default=20, help="a block of steps")
    parser.add_argument("--num-samples", type=int, default=5_000, help="of the shard set, at most")
    return parser.parse_args()


class BlocksAtDepth:
    """A contestant: blocks of steps of a training, for which so many further steps are read ahead.

    Attributes:
        reading: seconds of reading for a step, by block.
    """

    def __init__(self, training: PausedTraining, depth: int, seconds: list[float]) -> None:
        self.training, self.depth, self.seconds = training, depth, seconds
        self.reading: list[float] = []

    def __call__(self, steps: int) -> None:
        self.seconds.clear()
        with mock.patch.object(ahead, "STEPS_AHEAD", self.depth):
            self.training(steps)
        self.reading.append(sum(self.seconds) / steps)


@contextmanager
def timed_reading() -> Iterator[list[float]]:
    """Meanwhile the seconds of each reading of a step's images, in whichever thread, go into the list."""
    original, seconds = ahead.Ahead._read, list[float]()

    def timed(self: ahead.Ahead, step: int) -> Tensor:
        begun = time.perf_counter()
        images = original(self, step)
        seconds.append(time.perf_counter() - begun)
        return images

    with mock.patch.object(ahead.Ahead, "_read", timed):
        yield seconds


if __name__ == "__main__":
    main()
