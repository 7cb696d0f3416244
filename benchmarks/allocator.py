"""What keeping freed memory gives a training on a CPU: the same short training with and without it, alternating.

    python benchmarks/allocator.py --data cifar10 --backbone resnet10-w16 --batch-size 64 --steps 60 --repeats 5

Each training is a process of its own. Prints images/s and page faults, medians and range, and the ratio of each pair.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile

import click

CHILD = """
import json, resource, sys
from synthcl.pipeline import TrainConfig, train
from synthcl.pipeline.runtime import distributed

if sys.argv[1] == "plain":
    distributed.keep_freed_memory = lambda: False
result = train(TrainConfig(**json.loads(sys.argv[2])))
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"rate": result["images_per_second"], "faults": faults, "peak_mib": peak / 1024}))
"""


def run(mode: str, options: dict) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as out:
        arguments = [sys.executable, "-c", CHILD, mode, json.dumps(options | {"out": f"{out}/run"})]
        done = subprocess.run(arguments, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@click.command()
@click.option("--data", default="cifar10", show_default=True)
@click.option("--backbone", default="resnet10-w16", show_default=True)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--steps", default=60, show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--generator", default=None, help="Train online with this generator, rather than on real images alone.")
def main(repeats: int, **options) -> None:
    options |= {"online": options["generator"] is not None}
    runs = {"plain": [], "kept": []}
    for _ in range(repeats):
        for mode, results in runs.items():
            results.append(run(mode, options))
    for mode, results in runs.items():
        for name in ("rate", "faults", "peak_mib"):
            values = [result[name] for result in results]
            click.echo(
                f"{mode:6} {name:9} median {statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
            )
    ratios = [kept["rate"] / plain["rate"] for plain, kept in zip(runs["plain"], runs["kept"], strict=True)]
    click.echo(
        f"rate, kept over plain: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
