"""Whether an encoder tells a generator that has drifted: Fréchet distances over that of real images to others.

    python benchmarks/online/drift.py --data 'cifar10:train[:10%,balanced]' --image-size 16 \
        --encoders RUN,random:resnet10-w16 --num-images 250,2500 \
        --generator before=runs/gan --generator after=runs/online

A line of JSON for each encoder and number of images: the distance of two parts of the real images, and of each
generator's samples to one of them, over it.
"""

from __future__ import annotations

import argparse
import json

import torch

from synthcl.pipeline.data import open_images
from synthcl.pipeline.evaluation.monitors.quality import QualityMonitor, open_real_encoder
from synthcl.pipeline.generation.opening import open_generator

CPU = torch.device("cpu")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="SPEC", help="the real images")
    parser.add_argument("--image-size", type=int, metavar="S", help="pixels a side")
    parser.add_argument(
        "--encoders", default="random:resnet10-w16", metavar="RUN,...", help="each as --eval-encoder of train"
    )
    parser.add_argument("--generator", action="append", required=True, metavar="NAME=PATH", help="to compare")
    parser.add_argument(
        "--num-images",
        default="250,2500",
        metavar="N,...",
        help="real images to a side, and samples; half of the images at most",
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    store = open_images(options.data, image_size=options.image_size, split="train")
    generators = {name: open_generator(path) for name, path in (one.split("=", 1) for one in options.generator)}
    for name in options.encoders.split(","):
        encoder = open_real_encoder(name, store.image_size).eval()
        for number in map(int, options.num_images.split(",")):
            quality = QualityMonitor(encoder, len(store), number, 0, CPU)
            row: dict[str, object] = {"encoder": name, "num_images": quality.num_samples}
            for label, generator in generators.items():
                found = quality(generator, store)
                row["real"] = round(found["frechet_distance_real"], 4)
                row[label] = round(found["frechet_distance"] / found["frechet_distance_real"], 2)
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
