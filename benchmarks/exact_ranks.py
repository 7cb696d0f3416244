"""1, 2 and 4 processes at one global batch: are they one run?

    python benchmarks/exact_ranks.py [--worlds 2,4] [--only simclr-real,moco-online] [--steps 20]

Each setting is trained by the real `train` on digits at 8 pixels in fp32, in one process and in several (gloo, CPU),
and compared at every step: keys of the real images, numbers of the synthetic ones, latents and the parameters of every
view, which must be *equal*; losses; and the weights at the end (learner with momentum encoder and queue, G, G_ema, D).

In these modes, 20 steps each:

    tethered    each step begins from the state of the single process: the difference is that of one step
    float64     in a row, everything computed in float64
    float32     in a row, as users train
    slow        in a row, at a thousandth of the learning rates (--slow-down), as early in a long warm-up

In fp32 steps in a row go apart, from the rounding of sums in another order, which training blows up: for comparison
there is `nudged`, a single process whose weights begin one unit in the last place off. That float64 stays together
shows that rounding is all there is. Differences are the largest absolute ones. Processes are forked from this one after
the imports. Prints one JSON object; the progress goes to stderr.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: a forked process must find no thread pool of its parent

import argparse
import importlib
import json
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from synthcl.learners import learner_names, learner_recipe
from synthcl.pipeline import randomness
from synthcl.pipeline.configs.generate import GenerateConfig
from synthcl.pipeline.configs.pretrain import PretrainConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.generation.generate import generate
from synthcl.pipeline.regimes import assembly, joint_trainer, offline, online, replay
from synthcl.pipeline.regimes.assembly import RealImages
from synthcl.pipeline.runs.checkpoint import load_checkpoint
from synthcl.pipeline.training import build
from synthcl.pipeline.training import pretrain as pretraining
from synthcl.pipeline.training import train as training_command
from synthcl.pipeline.training.step import TrainingStep
from synthcl.pipeline.views import augmentation

IMPORTS = "sklearn.datasets diffusers synthcl.generators.gan.trainer synthcl.learners.backbones synthcl.learners.moco"
MODES = {"tethered": "float32", "float64": "float64", "float32": "float32", "slow": "slow"}
"""Each mode, and the single process's to compare it with."""
GENERATOR_LEARNING_RATE = 2e-3  # the GAN's own at this size
HEADS = {"hidden_dim": 64, "embedding_dim": 32}  # narrow ones: every step saves a checkpoint
IMAGES = {"data": "digits", "image_size": 8, "log_every": 1}
REGIMES: dict[str, dict[str, Any]] = {
    "real": {},
    "offline": {"shards": ["shards"]},
    "online": {"online": True, "generator": "gan"},
    "replay": {"replay": "recording"},
}
SETTINGS = {f"{learner}-{regime}": (learner, regime, {}) for learner in learner_names() for regime in REGIMES}
SETTINGS["simclr-online-in-parts"] = ("simclr", "online", {"accumulate": 2})

Seen = dict[str, tuple[Tensor, Tensor]]
"""What a step drew, by name: whose it is, (n,) numbers over all processes, and what, (n, ...)."""


class Watcher:
    """Notes what the steps of a run draw in this process, and changes the run as its mode says."""

    def __init__(self, mode: str, tether: Path) -> None:
        self.mode, self.tether = mode, tether
        self.steps: list[Seen] = []
        self.differences: list[dict[str, float]] = []
        self.undo: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Watcher:
        self._wrap(TrainingStep, "__call__", self._step)
        self._wrap(RealImages, "images", self._real)
        self._wrap(offline.OfflineRegime, "samples", self._offline)
        self._wrap(online.OnlineRegime, "batch", self._online)
        self._wrap(augmentation, "sample_views", self._views)
        self._wrap(build, "create_learner", lambda original, *arguments, **o: original(*arguments, **HEADS, **o))
        if self.mode == "nudged":
            self._wrap(training_command, "build_learner", lambda original, *arguments: nudged(original(*arguments)))
        if self.mode == "float64":
            for owner, name in ((assembly, "to_float"), (offline, "to_float"), (replay, "to_float")):
                self._wrap(owner, name, lambda original, images: original(images).double())
            self._wrap(randomness.Draws, "normal", lambda original, *arguments: original(*arguments).double())
            self._wrap(training_command, "build_learner", lambda original, *arguments: original(*arguments).double())
            self._wrap(joint_trainer, "load_trainer", self._double_trainer)
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, original in self.undo:
            setattr(owner, name, original)

    def _double_trainer(self, original: Any, *arguments: Any, **options: Any) -> Any:
        trainer = original(*arguments, **options)
        for module in trainer.modules().values():
            module.double()
        trainer.load_state_dict(trainer.state_dict())  # gives the optimizers' moments the type of the weights
        return trainer

    def _wrap(self, owner: Any, name: str, wrapper: Any) -> None:
        original = getattr(owner, name)
        self.undo.append((owner, name, original))
        setattr(owner, name, lambda *arguments, **options: wrapper(original, *arguments, **options))

    def _step(self, original: Any, step: TrainingStep, index: int) -> Any:
        self.steps.append({})
        if self.mode == "tethered" and index > 0:
            state = load_checkpoint(self.tether / f"step-{index:08d}").parts
            for name, part in step.parts.items():
                part.load_state_dict(state[name])
        metrics = original(step, index)
        if self.mode == "tethered":
            then = load_checkpoint(self.tether / f"step-{index + 1:08d}").parts
            self.differences.append(difference({n: part.state_dict() for n, part in step.parts.items()}, then))
        return metrics

    def _real(self, original: Any, real: RealImages, step: int) -> Tensor:
        indices = real.order.indices(step, real.share.rank, real.share.num_processes)
        self.steps[-1]["real"] = (real.share.numbers(real.device), torch.from_numpy(indices))
        return original(real, step)

    def _offline(self, original: Any, regime: offline.OfflineRegime, step: int) -> Tensor:
        indices = regime.order.indices(step, regime.share.rank, regime.share.num_processes)
        self.steps[-1]["offline"] = (regime.share.numbers(regime.real.device), torch.from_numpy(indices))
        return original(regime, step)

    def _online(self, original: Any, regime: online.OnlineRegime, step: int, learner: Any) -> Any:
        batch = original(regime, step, learner)
        draws = batch.draws
        self.steps[-1]["latents"] = (draws.indices, regime.trainer.generator.sample_latents(len(draws), draws=draws))
        return batch

    def _views(self, original: Any, draws: Any, *arguments: Any) -> Any:
        parameters = original(draws, *arguments)
        values = torch.stack([t.double().reshape(len(draws), -1).sum(1) for t in tensors(vars(parameters))], dim=1)
        self.steps[-1][f"views {len(self.steps[-1])}"] = (draws.indices, values)
        return parameters


def nudged(module: torch.nn.Module) -> torch.nn.Module:
    """A learner with every weight one unit in the last place larger."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.nextafter(parameter, torch.full_like(parameter, torch.inf)))
    return module


def tensors(values: Any) -> Iterator[Tensor]:
    """All the tensors in nested dictionaries and dataclasses."""
    if isinstance(values, Tensor):
        yield values
    elif values is not None:
        for value in (values if isinstance(values, dict) else vars(values)).values():
            yield from tensors(value)


def difference(state: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """The largest absolute difference of weights and buffers of the learner, and of G, G_ema and D where there are."""
    trainers = [each["regime"].get("trainer", {}) for each in (state, other)]
    nets = {"learner": (state["learner"], other["learner"])}
    nets |= {n: tuple(t[n] for t in trainers) for n in ("generator", "ema", "discriminator") if n in trainers[0]}
    return {n: max(float((a[k] - b[k]).abs().max()) for k in a if a[k].numel()) for n, (a, b) in nets.items()}


def config(name: str, sources: Path, out: Path, steps: int, slow_down: float = 1) -> TrainConfig:
    learner, regime, options = SETTINGS[name]
    chosen = {**IMAGES, "learner": learner, "backbone": "resnet10-w8", "precision": "fp32", "batch_size": 32, **options}
    chosen |= {option: _placed(value, sources) for option, value in REGIMES[regime].items()}
    if learner == "moco":
        chosen["queue_size"] = 200
    if slow_down > 1:
        chosen["learning_rate"] = learner_recipe(learner).base_learning_rate / slow_down
        if regime == "online":
            chosen["generator_learning_rate"] = GENERATOR_LEARNING_RATE / slow_down
    return TrainConfig(**chosen, out=str(out), steps=steps, checkpoint_every=1, keep=steps + 1)


def _placed(value: Any, folder: Path) -> Any:
    """Names of sets as paths; switches as they are."""
    if isinstance(value, list):
        return [_placed(each, folder) for each in value]
    return str(folder / value) if isinstance(value, str) else value


def in_process(
    rank: int, world: int, names: list[str], modes: list[str], folder: Path, steps: int, slow_down: float
) -> None:
    """All the settings and modes, as one of `world` processes."""
    if world > 1:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "LOCAL_WORLD_SIZE": str(world)}
        dist.init_process_group("gloo", init_method=f"file://{folder}/store{world}", rank=rank, world_size=world)
    for name in names:
        for mode in modes if world > 1 else sorted({*map(MODES.get, modes)} | {"float32", "nudged"}):
            with Watcher(mode, folder / name / "1-float32" / "checkpoints") as watcher:
                slower = slow_down if mode == "slow" else 1
                training_command.train(config(name, folder, folder / name / f"{world}-{mode}", steps, slower))
            torch.save((watcher.steps, watcher.differences), folder / name / f"{world}-{mode}-{rank}.pt")
        if rank == 0:
            print(f"{name} in {world}", file=sys.stderr, flush=True)


def fork(world: int, *arguments: Any) -> None:
    """`in_process` in so many processes.

    Raises:
        SystemExit: one of them failed.
    """
    children = []
    for rank in range(world):
        child = os.fork()
        if not child:
            try:
                in_process(rank, world, *arguments)
                sys.stderr.flush()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        raise SystemExit(f"a process of {world} failed")


def joined(folder: Path, world: int, mode: str) -> list[Seen]:
    """What the steps drew in all the processes, in order of number."""
    parts = [torch.load(folder / f"{world}-{mode}-{rank}.pt")[0] for rank in range(world)]
    steps = []
    for seen in zip(*parts, strict=True):
        found = {}
        for name in seen[0]:
            numbers, values = (torch.cat([each[name][i] for each in seen]) for i in (0, 1))
            order = numbers.argsort()
            found[name] = (numbers[order], values[order])
        steps.append(found)
    return steps


def same_draws(folder: Path, world: int, mode: str, single: str) -> bool:
    """Whether the steps saw the same images, latents and view parameters."""
    pairs = zip(joined(folder, world, mode), joined(folder, 1, single), strict=True)
    return all(
        a.keys() == b.keys() and all(torch.equal(x, y) for n in a for x, y in zip(a[n], b[n], strict=True))
        for a, b in pairs
    )


def largest_losses(*runs: Path) -> dict[str, float]:
    """The largest differences of what two runs log as losses, over the steps."""
    rows, others = ([json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in runs)
    assert [row.keys() for row in rows] == [row.keys() for row in others]
    names = [name for name in rows[0] if name.startswith("loss")]
    return {name: max(abs(a[name] - b[name]) for a, b in zip(rows, others, strict=True)) for name in names}


def compare(folder: Path, world: int, modes: list[str], steps: int) -> dict[str, Any]:
    """One setting in `world` processes against one, in each mode."""
    results: dict[str, Any] = {"same_draws": True}
    for mode in modes if world > 1 else ("nudged",):
        single = MODES.get(mode, "float32")
        runs = [folder / f"{world}-{mode}", folder / f"1-{single}"]
        if mode == "tethered":
            each = torch.load(folder / f"{world}-{mode}-0.pt")[1]
            weights = {name: max(step[name] for step in each) for name in each[0]}
        else:
            weights = difference(*(load_checkpoint(run / f"checkpoints/step-{steps:08d}").parts for run in runs))
        results[mode] = {**largest_losses(*runs), **{f"weights_{name}": value for name, value in weights.items()}}
        results["same_draws"] &= same_draws(folder, world, mode, single)
    return results


def make_sources(folder: Path, names: list[str], steps: int) -> None:
    """A generator, a shard set and a recording, as far as the settings take them."""
    needed = {SETTINGS[name][1] for name in names} - {"real"}
    if not needed:
        return
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        return
    gan, shards = str(folder / "gan"), str(folder / "shards")
    pretraining.pretrain(PretrainConfig(**IMAGES, preset="tiny", batch_size=32, steps=100, out=gan))
    if "offline" in needed:
        generate(GenerateConfig(generator=gan, num_samples=100, pairs=True, workers=0, out=shards))
    if "replay" in needed:
        recorded = config("simclr-online", folder, folder / "recorded", steps)
        recorded.record = str(folder / "recording")
        training_command.train(recorded)
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", default="2,4", help="numbers of processes")
    parser.add_argument("--only", default=",".join(SETTINGS), help="settings, by name")
    parser.add_argument("--modes", default=",".join(MODES), help="how to compare; see above")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--slow-down", type=float, default=1000, help="what the learning rates are divided by in `slow`"
    )
    options = parser.parse_args()
    modes = options.modes.split(",")
    names, worlds = options.only.split(","), [int(world) for world in options.worlds.split(",")]
    if unknown := set(names) - set(SETTINGS):
        parser.error(f"unknown settings {', '.join(sorted(unknown))}; they are {', '.join(SETTINGS)}")
    for module in IMPORTS.split():
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_sources(folder, names, options.steps)
        for name in names:
            (folder / name).mkdir()
        for world in (1, *worlds):
            fork(world, names, modes, folder, options.steps, options.slow_down)
        results = {n: {w: compare(folder / n, w, modes, options.steps) for w in (1, *worlds)} for n in names}
    print(json.dumps({"steps": options.steps, "torch": torch.__version__, "settings": results}, indent=2))


if __name__ == "__main__":
    main()
