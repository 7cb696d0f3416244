"""Faults while a shard set is written to an object store: is the set in the end, byte for byte, that of a folder?

    python benchmarks/object_store.py [--faults 100] [--seed 0]

The store is moto's S3 server on this machine, behind a proxy that injects faults (faulty_store.py): errors, no answer
in time, connections that break before and after the store has done what it was asked, uploads of which half arrives
while the store says that all is well, uploads with a bit flipped (which the store refuses by their checksum, as S3
does), answers that break off, access refused, and kills (SIGKILL) of the writing process before, after and in the
middle of a request. Each kind comes about equally often, in an order and before requests that are drawn from a seeded
generator: any request of the writing, of the first manifest as of the last.

A writer is a process of its own, as `generate` is, that renders 200 samples in 10 shards. A command that ends with a
sentence, and one that is killed, is run again until the set is complete; then the next set begins, until as many faults
as asked have been injected. After each command the store is looked at: every shard with a whole sidecar must be the one
that a folder holds (nothing taken for whole), and none that was there before may be gone or have changed. In the end
the objects must be the files of the folder, each with the same bytes, and no others (nothing lost, nothing doubled).
Then `verify` reads them. Prints one JSON object; progress goes to stderr.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import importlib.metadata
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from faulty_store import BUCKET, FAULTS, FaultyStore

SAMPLES, PER_SHARD = 200, 20
WRITER = f"""
import sys
import numpy as np
from synthcl.pipeline.shards import network, write_shard_set

def render(indices):
    i = np.asarray(indices)[:, None, None, None, None]
    _, c, y, x = np.ogrid[0:1, 0:3, 0:32, 0:32]
    return ((i * 7 + c * 31 + y * 3 + x * 5) ^ (i * 13)).astype(np.uint8)

network.PAUSES = (0.05,) * len(network.PAUSES)
try:
    write_shard_set(sys.argv[1], {{"seed": 0}}, {SAMPLES}, {PER_SHARD}, render, workers=0)
except ValueError as error:
    sys.exit(f"Error: {{error}}")
"""
VERIFY = """
import sys
from synthcl.pipeline.shards.verify import verify_shard_set

sys.exit(not verify_shard_set(sys.argv[1], decode=True).ok)
"""
MOST_COMMANDS = 100
"""For one set, after which it is taken for one that never ends."""


class Injector:
    """Chooses the faults, each kind about equally often: for one in five uploads, and one in thirty other requests."""

    def __init__(self, faults: int, rng: random.Random) -> None:
        kinds = [kind for _ in range(-(-faults // len(FAULTS))) for kind in FAULTS]
        rng.shuffle(kinds)
        self.waiting, self.rng = kinds[:faults], rng
        self.injected: Counter[str] = Counter()
        self.places: Counter[str] = Counter()

    def choose(self, method: str, path: str) -> str | None:
        if not self.waiting or self.rng.randrange(5 if method == "PUT" else 30):
            return None
        fits = [
            k for k in self.waiting if ("upload" not in k or method == "PUT") and ("down" not in k or method == "GET")
        ]
        if not fits:
            return None
        fault = fits[0]
        self.waiting.remove(fault)
        self.injected[fault] += 1
        kind = (
            "manifest" if "shardset" in path else "sidecar" if "parquet" in path else "tar" if "tar" in path else "list"
        )
        self.places[f"{method} {kind}"] += 1
        return fault


def whole_shards(objects: dict[str, bytes]) -> set[str]:
    """The shards that count, by whether they have a whole sidecar."""
    sidecars = [n for n in objects if n.endswith(".parquet") and objects[n].endswith(b"PAR1")]
    return {Path(name).stem for name in sidecars}


def write_until_complete(
    store: FaultyStore, url: str, expected: dict[str, bytes], cache: Path
) -> tuple[int, list[str]]:
    """How many commands it took, and what those said that ended with a sentence.

    Raises:
        SystemExit: something was lost, doubled, or taken for whole; or a command failed otherwise.
    """
    prefix = url.removeprefix(f"s3://{BUCKET}/") + "/"
    environment = {**os.environ, **store.environment(), "SYNTHCL_CACHE": str(cache)}
    said: list[str] = []
    counted: set[str] = set()
    for number in range(1, MOST_COMMANDS):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, url], env=environment, stderr=subprocess.PIPE, text=True
        )
        store.kill = process.kill
        _, text = process.communicate()
        objects = store.objects(prefix)
        for shard in whole_shards(objects):
            for name in (f"{shard}.tar", f".synthcl/{shard}.parquet"):
                if objects.get(name) != expected[name]:
                    raise SystemExit(f"{name} of {url} is not whole, and has a sidecar")
        manifest = objects.get(".synthcl/shardset.json", b"")
        if b'"complete": true' in manifest and manifest.endswith(b"\n}\n") and objects != expected:
            raise SystemExit(f"the manifest of {url} says that it is complete, and it is not")
        if not counted <= whole_shards(objects):
            raise SystemExit(f"{url} has lost shards that it had: {sorted(counted - whole_shards(objects))}")
        counted = whole_shards(objects)
        if process.returncode == 0:
            if objects != expected:
                raise SystemExit(
                    f"{url} differs in {sorted(n for n in {*objects, *expected} if objects.get(n) != expected.get(n))}"
                )
            return number, said
        if process.returncode == 1 and text.startswith("Error: "):
            said.append(text.strip())
        elif process.returncode != -9:
            raise SystemExit(f"the writer failed: {text}")
    raise SystemExit(f"{url} was not complete after {MOST_COMMANDS} commands; they said {said}")


def local_files(folder: Path) -> dict[str, bytes]:
    """The set in a folder, by the names of its files."""
    subprocess.run([sys.executable, "-c", WRITER, str(folder)], check=True)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the kinds and moments")
    options = parser.parse_args()
    began = time.monotonic()
    injector = Injector(options.faults, random.Random(options.seed))
    sets, commands, said = 0, 0, []
    with tempfile.TemporaryDirectory() as temporary, FaultyStore() as store:
        expected = local_files(Path(temporary, "set"))
        while injector.waiting:
            url = f"s3://{BUCKET}/set-{sets}"
            store.choose = injector.choose
            number, sentences = write_until_complete(store, url, expected, Path(temporary, "cache"))
            store.choose = lambda method, path: None
            environment = {
                **os.environ,
                **store.environment(direct=True),
                "SYNTHCL_CACHE": str(Path(temporary, "cache")),
            }
            if subprocess.run([sys.executable, "-c", VERIFY, url], env=environment).returncode:
                raise SystemExit(f"{url} does not verify")
            sets, commands, said = sets + 1, commands + number, said + sentences
            print(f"{url}: {number} commands, {len(injector.waiting)} faults left", file=sys.stderr, flush=True)
    record = {
        "faults": sum(injector.injected.values()),
        "kinds": dict(injector.injected),
        "requests": dict(injector.places.most_common()),
        "sets": sets,
        "identical": sets,
        "files_each": len(expected),
        "commands": commands,
        "ended_with_a_sentence": len(said),
        "killed": sum(count for kind, count in injector.injected.items() if "killed" in kind),
        "lost_doubled_or_taken_for_whole": 0,
        "seconds": round(time.monotonic() - began),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "versions": {
            name: importlib.metadata.version(name) for name in ("synthcl", "fsspec", "s3fs", "moto", "pyarrow")
        },
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
