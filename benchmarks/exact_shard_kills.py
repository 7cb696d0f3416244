"""`synthcl generate` killed at random moments and started again: is every set the uninterrupted one, byte for byte?

    python benchmarks/exact_shard_kills.py [--kills 100] [--torchrun-kills 6]

By one process, by two `--num-jobs`, and under torchrun. Prints one JSON object; the progress goes to stderr.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_SAMPLES, _PER_SHARD = 2000, 50
_TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "synthcl.cli"]
_KILLED = {"one process": 1, "--num-jobs 2": 2, "torchrun, 2 processes": 1}
"""How many commands fill a set together."""


def kills(options: argparse.Namespace) -> dict[str, Any]:
    """`synthcl generate` killed at random moments, until each set is whole; all must be the same.

    A moment is drawn from the time in which the command writes. The command runs in a process forked from this one,
    since a new one would import torch for longer than it writes; under torchrun all is as users have it, and one of
    its processes is killed, whereupon torchrun ends the other. Before each new start, what is published must be as in
    the uninterrupted set, and after it the same files must still be there, untouched.
    """
    import torch

    from synthcl.generators.gan import GANGenerator
    from synthcl.generators.gan.presets import choose_preset

    torch.set_num_threads(1)
    rng, rows = random.Random(options.seed), {}
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        generator = Path(folder) / "generator"
        GANGenerator(**choose_preset(16, "tiny").generator_shape(16)).save_pretrained(generator)
        killer = _Killer(Path(folder), generator, rng)
        for setting in _KILLED:
            made, sets = 0, 0
            while made < (options.torchrun_kills if setting.startswith("torchrun") else options.kills / 2):
                made += killer.fill(setting)
                sets += 1
                print(f"{setting}: {made} kills, {sets} sets, all the same", file=sys.stderr)
            rows[setting] = {"kills": made, "sets": sets, "identical": sets}
    return {"settings": rows, "kills": sum(row["kills"] for row in rows.values()), "seconds_of_writing": killer.seconds}


class _Forked:
    """The command in a process forked from this one; spoken to like a `subprocess.Popen`."""

    def __init__(self, arguments: list[str]) -> None:
        from synthcl.cli import main as synthcl

        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (1, 2):
                os.dup2(null, descriptor)
            try:
                synthcl(arguments)
            except SystemExit as end:
                os._exit(int(end.code or 0))
            finally:
                os._exit(1)

    def poll(self) -> int | None:
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        code = self._reap(0)
        assert code is not None, "it has ended"
        return code

    def _reap(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


class _Killer:
    """Starts `synthcl generate` and kills it."""

    def __init__(self, folder: Path, generator: Path, rng: random.Random) -> None:
        self.folder, self.generator, self.rng = folder, generator, rng
        self.sets = 0
        whole = folder / "whole"
        (process,) = self._start("one process", whole)
        begun = self._begin(process, whole, 0)
        assert process.wait() == 0
        self.seconds, self.expected = round(time.monotonic() - begun, 2), _contents(whole)

    def fill(self, setting: str) -> int:
        """Fill a set, killing each process at random moments; how many kills it took."""
        path, made = self.folder / f"set-{self.sets}", 0
        self.sets += 1
        done = False
        while not done:
            before = self._published(path)
            running = self._start(setting, path)
            done = True
            for number, process in enumerate(running):
                begun = self._begin(process, path, number)
                moment = begun + self.rng.uniform(0, 1.2 * self.seconds)
                while process.poll() is None and time.monotonic() < moment:
                    time.sleep(0.001)
                if process.poll() is None:
                    victim = self._victim(process.pid, setting)
                    if victim is not None:
                        os.kill(victim, signal.SIGKILL)
                        made += 1
                done = process.wait() == 0 and done
            after = self._published(path)
            assert before.items() <= after.items(), "a published file was lost or written again"
        assert _contents(path) == self.expected, f"{path} differs"
        shutil.rmtree(path)
        return made

    def _start(self, setting: str, path: Path) -> list[Any]:
        jobs = _KILLED[setting]
        arguments = ["generate", "--generator", str(self.generator), "--out", str(path), "--num-samples", str(_SAMPLES)]
        arguments += ["--samples-per-shard", str(_PER_SHARD), "--batch-size", "16", "--workers", "1"]
        if setting.startswith("torchrun"):
            command = [sys.executable, *_TORCHRUN, *arguments]
            return [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
        return [_Forked([*arguments, "--num-jobs", str(jobs), "--job-index", str(i)]) for i in range(jobs)]

    def _begin(self, process: Any, path: Path, number: int) -> float:
        """Wait until a process has begun to write: what comes before is the import of torch."""
        while process.poll() is None and not list(path.glob(f".synthcl/lock-{number}-of-*")):
            time.sleep(0.001)
        return time.monotonic()

    def _victim(self, pid: int, setting: str) -> int | None:
        """The process itself, or one of those that the launcher started."""
        if not setting.startswith("torchrun"):
            return pid
        ranks = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(self.rng.choice(ranks)) if ranks else None

    def _published(self, path: Path) -> dict[str, int]:
        """The shards and sidecars that count, with the time of their writing; all as in the uninterrupted set."""
        found = {}
        for sidecar in path.glob(".synthcl/0*.parquet"):
            for file in (sidecar, path / sidecar.with_suffix(".tar").name):
                name = str(file.relative_to(path))
                assert file.read_bytes() == self.expected[name], f"{file} differs"
                found[name] = file.stat().st_mtime_ns
        return found


def _contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="half by one process, half by two jobs")
    parser.add_argument("--torchrun-kills", type=int, default=6, help="under torchrun")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    record = {
        "benchmark": "shard kills",
        **kills(options),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "pyarrow", "numpy")},
    }
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
