"""Do memory and time of a step stay flat as a set grows, and as processes are added?

    python benchmarks/scale.py --samples 10000,100000,1000000,10000000 --ranks 1,2,4

Trains in the regime `offline` for a few steps on sets of so many samples, each in a process of its own, in turn, and
notes the peak of its memory, seconds to the first step, and milliseconds of a step. A large set is a small one many
times: the tar of a shard is linked under many names, and each has a sidecar of its own, so that all that is kept for
each sample and shard is there and 10 million samples take no more disk than their index. With `--ranks` one set is
trained on by so many processes under torchrun, at the same number of images each; where there are fewer cores than
processes, the CPU time of a process's step says what the clock cannot. Prints JSON: medians, with ranges.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from synthcl.pipeline.runtime.environment import record_environment
from synthcl.pipeline.shards import write_shard_set
from synthcl.pipeline.shards.layout import HIDDEN, shard_name, sidecar_path
from synthcl.pipeline.shards.manifest import read_manifest
from synthcl.pipeline.shards.sidecar import build_table, read_facts, read_table, write_sidecar
from synthcl.pipeline.shards.status import entry_of_sidecar

PER_SHARD = 10_000
COLUMNS = ("offset", "size", "crc32", "header_crc32")


def main() -> None:
    options = arguments()
    sizes, ranks = numbers(options.samples), numbers(options.ranks)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        write_shard_set(
            str(base), {"seed": 0}, options.per_shard, options.per_shard, noise(options.image_size), workers=0
        )
        sets = {size: enlarge(base, Path(folder) / f"set-{size}", size // options.per_shard) for size in sizes}
        found = {"samples": {}, "ranks": {}}
        cells = [("samples", size, sets[size], 1) for size in sizes]
        cells += [("ranks", count, sets[max(sizes[:2])], count) for count in ranks]
        for round_number in range(options.rounds):
            for kind, key, shards, count in cells:
                row = train_on(options, shards, count, Path(folder) / f"run-{kind}-{key}-{round_number}")
                found[kind].setdefault(key, []).append(row)
                print(json.dumps({kind: key, **row}), file=sys.stderr, flush=True)
    record = {
        "benchmark": "scale",
        **{kind: {key: summary(rows) for key, rows in rows_of.items()} for kind, rows_of in found.items()},
        **{name: getattr(options, name) for name in ("image_size", "backbone", "batch_size", "steps", "rounds")},
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "versions": record_environment()["versions"],
    }
    print(json.dumps(record, indent=2))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", default="10000,100000,1000000,10000000", help="sizes of the sets")
    parser.add_argument("--ranks", default="1,2,4", help="numbers of processes; on a set of the second size")
    parser.add_argument("--data", default="digits", help="SPEC of the real images")
    parser.add_argument("--image-size", type=int, default=16)
    parser.add_argument("--backbone", default="resnet10-w8")
    parser.add_argument("--batch-size", type=int, default=64, help="real images a step; as many synthetic ones")
    parser.add_argument("--steps", type=int, default=240, help="far more than it takes to visit each shard once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--per-shard", type=int, default=PER_SHARD)
    options = parser.parse_args()
    if any(size % options.per_shard for size in numbers(options.samples)):
        parser.error(f"--samples must be multiples of {options.per_shard:,}")
    return options


def numbers(words: str) -> list[int]:
    return [int(word) for word in words.split(",") if word]


def noise(size: int) -> Any:
    """Gives smooth images (N, 1, 3, size, size) uint8 of indices."""

    def render(indices: np.ndarray) -> np.ndarray:
        coarse = np.stack([np.random.default_rng(int(i)).integers(0, 256, (1, 3, 4, 4)) for i in indices])
        return np.kron(coarse, np.ones((size // 4, size // 4))).astype(np.uint8)

    return render


def enlarge(base: Path, place: Path, times: int) -> Path:
    """A set that has the one shard of another so many times, under names and numbers of its own."""
    manifest, table = read_manifest(base), read_table(sidecar_path(base, shard_name(0)))
    facts, count = read_facts(sidecar_path(base, shard_name(0)))
    places = {name: table[name].to_numpy()[:, None] for name in COLUMNS}
    (place / HIDDEN).mkdir(parents=True)
    entries = []
    for number in range(times):
        name = shard_name(number)
        os.link(base / shard_name(0), place / name)
        rows = build_table(name, number * count, 0, places)
        sidecar = write_sidecar(rows, replace(facts, shard=name))
        sidecar_path(place, name).write_bytes(sidecar)
        entries.append(entry_of_sidecar(sidecar, name)[0])
    whole = replace(manifest, num_samples=times * count, shards=tuple(entries))
    (place / HIDDEN / "shardset.json").write_text(whole.to_json())
    return place


def train_on(options: argparse.Namespace, shards: Path, ranks: int, out: Path) -> dict[str, float]:
    """A short training in processes of its own: what it took."""
    words = ["train", "--data", options.data, "--image-size", str(options.image_size), "--shards", str(shards)]
    words += ["--backbone", options.backbone, "--batch-size", str(options.batch_size * ranks), "--cache", "none"]
    words += ["--steps", str(options.steps), "--log-every", "1", "--synthetic-ratio", "1"]
    words += ["--precision", "fp32", "--checkpoint-every", "100000", "--out", str(out), "--json"]
    started = [sys.executable, "-c", MEASURED, *words]
    if ranks > 1:
        script = out.with_suffix(".py")
        script.write_text(MEASURED)
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
        started = [*torchrun, str(script), *words]
    told = out.with_suffix(".told")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TOLD": str(told), "BEGAN": repr(time.time())}
    process = subprocess.run(started, capture_output=True, text=True, env=environment)
    if process.returncode:
        raise SystemExit(f"a training failed: {process.stderr}")
    rows = [json.loads(line) for line in told.read_text().splitlines()]
    assert len(rows) == ranks, "each process tells what it took"
    return {name: max(row[name] for row in rows) for name in rows[0]}


def summary(rows: list[dict[str, float]]) -> dict[str, str]:
    """Medians of the rounds, with ranges."""
    found = {name: [row[name] for row in rows] for name in rows[0]}
    return {name: f"{statistics.median(v):.4g} ({min(v):.4g} to {max(v):.4g})" for name, v in found.items()}


MEASURED = """
import json, os, resource, statistics, sys, time
from synthcl.learners.base import Learner
from synthcl.cli import main
ends, used = [], []
Learner.after_step = lambda self, progress: (ends.append(time.time()), used.append(time.process_time()))
try:
    main()
except SystemExit as end:
    if end.code:
        raise
each = lambda times: 1000 * statistics.median(later - sooner for sooner, later in zip(times[5:], times[6:]))
told = {
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "first_step_seconds": ends[0] - float(os.environ["BEGAN"]),
    "step_ms": each(ends),
    "step_cpu_ms": each(used),
}
with open(os.environ["TOLD"], "a") as file:
    file.write(json.dumps(told) + "\\n")
"""
"""What a process runs: `synthcl`, and then a line about itself. SimCLR does nothing after a step: that is its end."""


if __name__ == "__main__":
    main()
