"""kill -9 at random moments, resumed each time: does the run end as the uninterrupted one does, byte for byte?

    python benchmarks/exact_kills.py [--kills 20] [--only real-simclr,pretrain-gan]

Each setting is run once undisturbed, then again and again with SIGKILL after a random time (uniform up to a third of
the undisturbed run's, from a seeded generator) until it has been killed as often as asked; a run that gets through
before that begins anew in another folder. Then all files of the run are compared: checkpoints (learner with momentum
encoder and queue, G, G_ema, D, their optimizers), exported weights, pictures, `metrics.jsonl` without gap or double,
and the recording of the online runs. Only times of day and durations may differ.

The runs are the commands of `synthcl` with their options, on digits at 8 pixels with tiny networks. Each is a process
of its own, forked from this one after the imports (and before any computation), which spares seconds of imports a kill;
SIGKILL reaches it wherever it is. Prints one JSON object; the progress goes to stderr.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: a forked process must find no thread pool of its parent

import argparse
import importlib
import importlib.metadata
import json
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from synthcl.cli import main as synthcl

BATCH = 64
STEPS = 120
IMPORTS = """
    sklearn.datasets torchvision.models diffusers pyarrow.parquet duckdb accelerate synthcl.pipeline.training.train
    synthcl.pipeline.training.pretrain synthcl.generators.gan.trainer synthcl.generators.diffusion.trainer
    synthcl.learners.simclr synthcl.learners.moco synthcl.learners.backbones synthcl.cli.train synthcl.cli.pretrain
"""
"""What a command imports when it comes to it: done here once, so that a forked process is at its own work soon."""
DURATIONS = {"seconds", "images_per_second", "run", "generator"}
"""What a result says of time and place."""

COMMON = ["--data", "digits", "--image-size", "8", "--log-every", "1", "--checkpoint-every", "2"]
PICTURES = ["--sample-every", "7"]
TRAIN = ["train", *COMMON, "--batch-size", str(BATCH), "--backbone", "resnet10-w8", "--precision", "fp32"]
LEARNERS = {"simclr": ["--learner", "simclr"], "moco": ["--learner", "moco", "--queue-size", "200"]}
SOURCES = {
    "real": [],
    "offline": ["--shards", "{sets}/shards"],
    "fresh": ["--fresh", "--generator", "{sets}/gan"],
    "online": ["--online", "--generator", "{sets}/gan", "--record", "{out}/recording", *PICTURES],
    "replay": ["--replay", "{sets}/recording"],
}
PRETRAIN = ["pretrain", *COMMON, *PICTURES, "--batch-size", "32", "--preset", "tiny"]
SETTINGS = {
    f"{regime}-{learner}": [*TRAIN, *LEARNERS[learner], *SOURCES[regime]]
    for regime in ("real", "offline", "fresh", "online")
    for learner in LEARNERS
} | {
    "replay-simclr": [*TRAIN, *LEARNERS["simclr"], *SOURCES["replay"]],
    "pretrain-gan": PRETRAIN,
    "pretrain-diffusion": [*PRETRAIN, "--generator", "diffusion"],
}


def start(arguments: list[str], log: Path) -> int:
    """The process id of a command that runs on its own."""
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1), os.dup2(output, 2)
        synthcl.main(arguments, standalone_mode=True)
        os._exit(0)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    finally:
        os._exit(1)


def killed(arguments: list[str], log: Path, after: float | None = None) -> bool:
    """Run a command, kill it `after` so many seconds unless it has ended; whether it was killed."""
    child, began = start(arguments, log), time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise SystemExit(f"{arguments} failed:\n{log.read_text()}")
            return False
        if after is not None and time.monotonic() - began >= after:
            os.kill(child, 9)
            _, status = os.waitpid(child, 0)
            return os.WIFSIGNALED(status)
        time.sleep(0.002)


def contents(run: Path) -> dict[str, bytes]:
    """All that a run has left, without durations and places."""
    files = {str(p.relative_to(run)): p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file()}
    for name in files:
        if name.endswith(("manifest.json", "result.json")):
            values = {**json.loads(files[name]), "extra": None}
            files[name] = json.dumps({k: v for k, v in values.items() if k not in DURATIONS}).encode()
        elif name.endswith("config.yaml"):
            files[name] = files[name].replace(str(run).encode(), b"")
    return files


def steps_done(run: Path) -> int:
    """The last step in the metrics."""
    metrics = run / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def try_setting(name: str, kills: int, steps: int, sets: Path, folder: Path, rng: random.Random) -> dict[str, Any]:
    """Kill runs of a setting; every one that gets through must be the undisturbed one.

    Raises:
        SystemExit: a command failed, or a file differs.
    """

    def command(out: Path) -> list[str]:
        arguments = [*SETTINGS[name], "--steps", str(steps), "--out", "{out}/run"]
        return [argument.replace("{sets}", str(sets)).replace("{out}", str(out)) for argument in arguments]

    log = folder / f"{name}.log"
    began = time.monotonic()
    killed(command(folder / f"{name}-whole"), log)
    duration = time.monotonic() - began
    expected = contents(folder / f"{name}-whole")
    epoch = 1437 // (BATCH if name.split("-")[0] != "pretrain" else 32)  # steps; digits has 1,437 images to train on
    moments: list[int] = []
    by_epoch: Counter[tuple[int, int]] = Counter()
    runs = 0
    while len(moments) < kills:
        out = folder / f"{name}-{runs}"
        while len(moments) < kills and killed(command(out), log, rng.uniform(0, duration / 3)):
            moments.append(steps_done(out / "run"))
            by_epoch[runs, moments[-1] // epoch] += 1
        killed(command(out), log)
        found = contents(out)
        different = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
        if different:
            raise SystemExit(f"{name} differs after kills at steps {moments}: {', '.join(different)} in {out}")
        runs += 1
    result = {
        "kills": len(moments),
        "runs": runs,
        "after_steps": moments,
        "seconds_undisturbed": round(duration, 2),
        "most_in_one_epoch": max(by_epoch.values()),
        "files_identical": len(expected),
    }
    print(f"{name}: {result}", file=sys.stderr, flush=True)
    return result


def make_sources(folder: Path, names: list[str], steps: int) -> Path:
    """A generator, a shard set and a recording, as far as the settings take them."""
    log = folder / "sources.log"
    needed = {name.split("-")[0] for name in names}
    generate = ["generate", "--generator", f"{folder}/gan", "--num-samples", "100", "--pairs", "--workers", "0"]
    online = [*TRAIN, "--online", "--generator", f"{folder}/gan", "--record", f"{folder}/recording"]
    if needed & {"offline", "fresh", "online", "replay"}:
        killed([*PRETRAIN, "--steps", "20", "--out", f"{folder}/gan"], log)
    if "offline" in needed:
        killed([*generate, "--out", f"{folder}/shards"], log)
    if "replay" in needed:
        killed([*online, "--steps", str(steps), "--out", f"{folder}/recorded"], log)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="of each setting")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each run")
    parser.add_argument("--only", default=",".join(SETTINGS), help="settings, by name")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := set(names) - set(SETTINGS):
        parser.error(f"unknown settings {', '.join(sorted(unknown))}; they are {', '.join(SETTINGS)}")
    rng = random.Random(options.seed)
    for module in IMPORTS.split():
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sets = make_sources(folder, names, options.steps)
        results = {n: try_setting(n, options.kills, options.steps, sets, folder, rng) for n in names}
    record = {
        "settings": results,
        "kills": sum(result["kills"] for result in results.values()),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "versions": {"torch": torch.__version__, "synthcl": importlib.metadata.version("synthcl")},
    }
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
