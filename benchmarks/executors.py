"""`synthcl generate --executor ray`: is the set the same when a node is lost, and what does Ray cost?

    python benchmarks/executors.py lost [--moments 10]
    python benchmarks/executors.py overhead [--shards 200] [--rounds 5]

`lost` starts a Ray cluster of two nodes on this machine, each with one worker of `generate`, and ends one node (SIGKILL
to its raylet and to all processes below) after a random time, drawn from a seeded generator and from the time that the
two write undisturbed. The set that the other node then finishes must be, file by file, that of one process without Ray;
what was published before must not have been touched. Then a new node joins for the next moment.

`overhead` fills a set of many small shards by two workers on such a cluster, and by two `--num-jobs` at once, in turn.
It gives the time from the first published shard to the last, in which all are at work, and that of the whole command,
in which all start. Small shards are the worst case: what Ray adds, it adds per shard. With `--jobs 1` there is one of
each, so that a machine of two cores has one to spare for Ray's own processes. Run it on a quiet machine.

Both take a generator of random weights: what it draws is not what is measured. Prints one JSON object; progress goes to
stderr.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # of this process, and of the nodes that it starts
# As in a cluster that `generate` starts itself. Ray's own default, 15, has workers give way to all that is at 0, Ray's
# other processes among it, and `--num-jobs` is at 0.
os.environ.setdefault("RAY_worker_niceness", "0")

import argparse
import importlib.metadata
import json
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIZE = 16


def make_generator(folder: Path) -> Path:
    """A small GAN of random weights."""
    import torch

    from synthcl.generators.gan import GANGenerator
    from synthcl.generators.gan.presets import choose_preset

    torch.manual_seed(0)
    GANGenerator(**choose_preset(SIZE, "tiny").generator_shape(SIZE)).save_pretrained(folder / "generator")
    return folder / "generator"


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def published(path: Path) -> dict[str, int]:
    """The tars and sidecars that count, with the time of their writing."""
    sidecars = list(path.glob(".synthcl/0*.parquet"))
    files = [*sidecars, *(path / sidecar.with_suffix(".tar").name for sidecar in sidecars)]
    return {str(file.relative_to(path)): file.stat().st_mtime_ns for file in files}


def descendants(pid: int) -> list[int]:
    """The processes below one, the nearest first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has ended
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = list(children.get(pid, []))
    for one in found:
        found += children.get(one, [])
    return found


def end_node(node: Any) -> None:
    """SIGKILL to a node's raylet, and to all processes below, as when its machine is switched off."""
    for info in node.all_processes["raylet"]:
        for pid in [*descendants(info.process.pid), info.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


@contextmanager
def cluster() -> Iterator[Any]:
    """One node of one CPU; others may join."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield made
    finally:
        made.shutdown()


def lost(options: argparse.Namespace) -> dict[str, Any]:
    """A node ends at a random moment; the set must be the same."""
    from synthcl.pipeline.generation.generate import generate

    rng, rows = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as temporary, cluster() as nodes:
        folder = Path(temporary)
        common = {
            "generator": str(make_generator(folder)),
            "num_samples": options.samples,
            "samples_per_shard": options.per_shard,
            "batch_size": 16,
            "workers": 1,
        }
        generate(**common, out=str(folder / "whole"))
        expected = contents(folder / "whole")
        ray = {**common, "executor": "ray", "ray_address": nodes.address, "ray_workers": 2}

        def fill(name: str, seconds: float | None) -> tuple[float, dict[str, int] | None]:
            """Fill a set, ending a node so many seconds after both workers have begun. How long both wrote, and what
            was published when the node ended."""
            out, before = folder / name, None
            node, over = nodes.add_node(num_cpus=1), threading.Event()
            began = float("inf")

            def act() -> None:
                nonlocal began, before
                while not (out / ".synthcl/lock-1-of-3").exists() or not (out / ".synthcl/lock-2-of-3").exists():
                    if over.wait(0.002):
                        return
                began = time.monotonic()
                if seconds is not None and not over.wait(seconds):
                    end_node(node)
                    before = published(out)

            thread = threading.Thread(target=act)
            thread.start()
            info = generate(**ray, out=str(out))
            took = time.monotonic() - began
            over.set()
            thread.join()
            nodes.remove_node(node, allow_graceful=False)
            assert info["complete"]
            found = contents(out)
            different = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
            if different:
                raise SystemExit(f"{name} differs: {', '.join(different)}")
            after = published(out)
            assert (before or {}).items() <= after.items(), "a published file was lost or written again"
            shutil.rmtree(out)
            return took, before

        duration, _ = fill("undisturbed", None)
        print(f"undisturbed: {duration:.1f} s, the same", file=sys.stderr, flush=True)
        while len(rows) < options.moments:
            moment = rng.uniform(0, duration)
            took, before = fill(f"lost-{len(rows)}", moment)
            if before is None:
                continue  # all was written before the moment came
            rows.append({"after_seconds": round(moment, 2), "shards_published": len(before) // 2})
            print(f"{len(rows)}: {rows[-1]}, the same after {took:.1f} s", file=sys.stderr, flush=True)
    return {
        "nodes_ended": len(rows),
        "sets_identical": len(rows),
        "files": len(expected),
        "shards": options.samples // options.per_shard,
        "seconds_undisturbed": round(duration, 2),
        "moments": rows,
    }


def overhead(options: argparse.Namespace) -> dict[str, Any]:
    """Ray and `--num-jobs`, as many processes each, in turn."""
    rows: dict[str, list[dict[str, float]]] = {"ray": [], "num-jobs": []}
    with tempfile.TemporaryDirectory() as temporary, cluster() as nodes:
        for _ in range(options.jobs - 1):
            nodes.add_node(num_cpus=1)
        folder = Path(temporary)
        generator = make_generator(folder)
        samples = options.shards * options.per_shard
        base = [sys.executable, "-m", "synthcl.cli", "generate", "--generator", str(generator)]
        base += ["--num-samples", str(samples), "--samples-per-shard", str(options.per_shard), "--workers", "1"]
        arms = {
            "ray": [["--executor", "ray", "--ray-address", nodes.address, "--ray-workers", str(options.jobs)]],
            "num-jobs": [["--num-jobs", str(options.jobs), "--job-index", str(index)] for index in range(options.jobs)],
        }
        for number in range(options.rounds):
            for name in sorted(arms, reverse=bool(number % 2)):
                out = folder / f"{name}-{number}"
                began = time.monotonic()
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                running = [subprocess.Popen([*base, *words, "--out", str(out)], **quiet) for words in arms[name]]
                codes = [process.wait() for process in running]
                assert not any(codes), f"{name}: exit codes {codes}"
                times = sorted(published(out).values())
                row = {"command": time.monotonic() - began, "writing": (times[-1] - times[0]) / 1e9}
                rows[name].append({what: round(seconds, 2) for what, seconds in row.items()})
                print(f"{name}: {rows[name][-1]}", file=sys.stderr, flush=True)
        sets = [contents(folder / f"{name}-{number}") for name in arms for number in range(options.rounds)]
        assert all(one == sets[0] for one in sets), "the sets differ"
    ratios = {
        what: [ray[what] / jobs[what] for ray, jobs in zip(rows["ray"], rows["num-jobs"], strict=True)]
        for what in ("command", "writing")
    }
    return {
        "seconds": rows,
        "ray_over_num_jobs": {
            what: {
                "median": round(statistics.median(values), 3),
                "all": [round(value, 3) for value in values],
            }
            for what, values in ratios.items()
        },
        "jobs": options.jobs,
        "shards": options.shards,
        "samples_per_shard": options.per_shard,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for function, arguments in (
        (lost, {"--moments": 10, "--samples": 3000, "--per-shard": 50, "--seed": 0}),
        (overhead, {"--shards": 200, "--per-shard": 500, "--rounds": 5, "--jobs": 2}),
    ):
        command = commands.add_parser(function.__name__, help=function.__doc__)
        command.set_defaults(function=function)
        for name, default in arguments.items():
            command.add_argument(name, type=int, default=default)
    options = parser.parse_args()
    record = {
        "benchmark": options.function.__name__,
        **options.function(options),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "ray", "synthcl")},
    }
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
