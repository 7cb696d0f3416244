"""What a training step takes beyond the passes that it cannot do without, and what one pass for both players saves.

    OMP_NUM_THREADS=2 python benchmarks/joint_step.py --device cpu
    python benchmarks/joint_step.py --device cuda --data cifar10 --backbone resnet18 --batch-size 256 --gan-preset base
    python benchmarks/joint_step.py --device cuda --no-waiting

Each regime trains as `synthcl train` does, log and progress included, in turn with two others on the same networks and
images of the same size:

`bare`: the forward and backward passes alone, on the tensors of one of its steps: the learner on all its views; the
generator and its average, and back through the generator; the discriminator's two updates with the gradient penalties
of its preset (a diffusion model's denoising). No views, no optimizers, no log. Goal: a step takes 1.05 times that.

`naive`, for the online regime: what one would write first, a step of the learner on samples drawn for it, then a step
of the generator on a batch of its own, with the learner's loss taken once more. `careful` is the same with a gradient
to the samples alone in the second, not to the learner's weights. Goal: a step takes 0.6 times `naive`.

In further rounds, in which the device is waited for at every change, a step's time is taken by part: `learner`,
`generator` and `realism` are the passes that `bare` has too, and the others stand between the two.

`--no-waiting` does the steps with `torch.cuda.set_sync_debug_mode("error")` instead: an operation that waits for the
GPU ends it; on a CPU nothing is found out. The table goes to stderr, a line of JSON a regime to stdout.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from joint_passes import Alternation, Passes, bare_passes, run_all
from speed import (
    Parts,
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

from synthcl.generators import create_trainer
from synthcl.generators.diffusion.trainer import DiffusionTrainer
from synthcl.generators.gan import trainer as gan_training
from synthcl.generators.gan.trainer import GANTrainer
from synthcl.pipeline import generate
from synthcl.pipeline.options.values import from_text
from synthcl.pipeline.regimes import assembly, fresh, offline, online
from synthcl.pipeline.regimes import base as regime_base
from synthcl.pipeline.training.step import TrainingStep

PASSES = ("learner", "generator", "realism")
"""The parts of a step that are passes through networks."""
REGIMES = ("real", "offline", "fresh", "online", "online-diffusion")


def main() -> None:
    options = arguments()
    device = settle(options)
    watch, recorded = Stopwatch(device, options.clock), environment()
    with tempfile.TemporaryDirectory() as temporary:
        wanted = settings(options, Path(temporary))
        with paused_trainings(wanted) as trainings:
            for name, training in trainings.items():
                measured = check_waiting if options.no_waiting else measure
                row = {"regime": name, **measured(training, options, watch)}
                say(report(row))
                emit("joint_step", options, row, recorded)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_options(parser)
    parser.add_argument("--regimes", default=",".join(REGIMES), help=f"of {', '.join(REGIMES)}")
    parser.add_argument("--learner", default="simclr")
    parser.add_argument("--views", default="simclr-cifar", help="whatever the images")
    parser.add_argument("--generator-precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--gan-preset", default="tiny")
    parser.add_argument("--diffusion-preset", default="tiny")
    parser.add_argument("--sampling-steps", type=int, default=5, help="of the diffusion model")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="another option of train")
    parser.add_argument("--steps", type=int, default=8, help="steps a round")
    parser.add_argument("--no-waiting", action="store_true", help="see whether a step waits for the GPU, and stop")
    options = parser.parse_args()
    if unknown := set(options.regimes.split(",")) - set(REGIMES):
        parser.error(f"unknown regimes {', '.join(sorted(unknown))}; they are {', '.join(REGIMES)}")
    return options


def settings(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """The options of `train` by regime, with generators of untrained weights and a set of their samples."""
    common = {
        name: getattr(options, name)
        for name in ("data", "backbone", "image_size", "batch_size", "precision", "learner", "views")
    }
    common |= dict(from_text(each) for each in options.set)
    sources: dict[str, dict[str, Any]] = {
        "real": {},
        "offline": {"shards": [str(folder / "set")]},
        "fresh": {"fresh": True, "generator": str(folder / "gan")},
        "online": {"online": True, "generator": str(folder / "gan")},
        "online-diffusion": {
            "online": True, "generator": str(folder / "diffusion"), "sampling_steps": options.sampling_steps,
        },
    }  # fmt: skip
    wanted = options.regimes.split(",")
    torch.manual_seed(0)
    kinds = [("gan", options.gan_preset, {"offline", "fresh", "online"})]
    kinds += [("diffusion", options.diffusion_preset, {"online-diffusion"})]
    for kind, preset, of in kinds:
        if of & set(wanted):
            create_trainer(kind, options.image_size, preset=preset).save_pretrained(folder / kind)
    if "offline" in wanted:
        # Enough for a few steps without repetition; what the samples show makes no difference to a step.
        samples = 4 * options.batch_size
        generate(generator=str(folder / "gan"), num_samples=samples, pairs=True, out=str(folder / "set"), workers=0)
    drawn = {"generator_precision": options.generator_precision}
    return {
        name: common | sources[name] | (drawn if "generator" in sources[name] else {}) | {"out": str(folder / name)}
        for name in wanted
    }


def measure(training: PausedTraining, options: argparse.Namespace, watch: Stopwatch) -> dict[str, Any]:
    """A regime's step against its bare passes and, online, against two steps in turn; then both by part."""
    passes = bare_passes(training)
    step, steps = training.step, whole_rounds(training.step, options.steps)
    contestants: dict[str, Callable[[int], None]] = {"step": training, "bare": partial(run_all, passes)}
    # Where G does not follow the learner's own loss there are no two passes that one could serve for.
    if (
        isinstance(step.regime, online.OnlineRegime)
        and step.regime.batch(training.index, step.inner).leaf.requires_grad
    ):
        contestants |= {"naive": Alternation(step, frozen=False), "careful": Alternation(step, frozen=True)}
    times, of_host = contest(contestants, rounds=options.rounds, warmup=options.warmup, steps=steps, watch=watch)
    found = {f"{who}_ms": spread(own, 1e3) for who, own in times.items()}
    found |= {f"over_{who}": ratio(times["step"], times[who]) for who in list(times)[1:]}
    if watch.device.type == "cuda":
        # Near the whole, the step waits for the host to launch; well below, for the device.
        found["host_ms"] = spread(of_host["step"], 1e3)
    return {**found, **by_part(training, passes, steps, options.rounds, watch)}


def whole_rounds(step: TrainingStep, steps: int) -> int:
    """Steps a round, raised until the gradient penalties, of every so many steps, are in each round alike."""
    every = getattr(getattr(step.regime, "trainer", None), "penalty_every", 1)
    return math.ceil(steps / every) * every


def by_part(training: PausedTraining, passes: Passes, steps: int, rounds: int, watch: Stopwatch) -> dict[str, Any]:
    """Milliseconds a step by part, of the step and of the bare passes, by turns; medians over rounds."""
    of_step: list[dict[str, float]] = []
    of_bare: list[dict[str, float]] = []
    for round_ in range(-1, rounds):  # the first is a warm-up
        with timed_parts(training, watch) as parts:
            training(steps)
        bare = Parts(watch)
        for index in range(steps):
            for part, run in passes.items():
                with bare.part(part):
                    run(index)
        if round_ >= 0:
            of_step.append({name: seconds / steps for name, seconds in parts.seconds.items()})
            of_bare.append({name: seconds / steps for name, seconds in bare.seconds.items()})
    parts_ms = medians(of_step)
    bare_ms = medians(of_bare)
    whole = sum(bare_ms.values())
    # What stands between the two, as parts of the bare passes: how much longer the same passes take within the step,
    # and all the rest.
    between = {
        name: round((value - bare_ms.get(name, 0.0)) / whole, 3) if name in PASSES else round(value / whole, 3)
        for name, value in parts_ms.items()
    }
    return {"parts_ms": parts_ms, "bare_parts_ms": bare_ms, "between": between}


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """By name, in milliseconds; largest first."""
    names = {name for row in rows for name in row}
    found = {name: spread([row.get(name, 0.0) for row in rows], 1e3)["median"] for name in names}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


@contextmanager
def timed_parts(training: PausedTraining, watch: Stopwatch):
    """Within it the training's steps are taken apart."""
    step, parts = training.step, Parts(watch)
    regime, inner, accelerator = step.regime, step.inner, step.accelerator

    def backward(loss: Tensor, *arguments: Any, **keywords: Any) -> None:
        with parts.part("learner"):
            original_backward(loss, *arguments, **keywords)

    def batch(*arguments: Any) -> Any:
        with parts.part("batch: latents, rounding, joining"):
            made = original_batch(*arguments)
        if made.views.requires_grad:
            # From here on the gradient is on its way back through the views.
            made.views.register_hook(lambda _: parts.rename("views, back"))
        return made

    original_backward, original_batch = accelerator.backward, regime.batch
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(accelerator, "backward", backward))
        stack.enter_context(mock.patch.object(regime, "batch", batch))
        watched = [
            (assembly.RealImages, "images", "data"),
            (offline.OfflineRegime, "samples", "data"),
            (assembly.ViewMaker, "__call__", "views"),
            (inner, "forward", "learner"),
            (step.optimizer, "step", "learner's update"),
            (step.optimizer, "zero_grad", "learner's update"),
            (inner, "after_step", "learner's update"),
            (regime_base, "hardness_metrics", "metrics"),
            (regime, "feedback", "metrics"),
        ]
        if isinstance(regime, fresh.FreshRegime):
            watched += [(regime, "_draw", "generator")]
        if isinstance(regime, online.OnlineRegime):
            watched += joint_parts(regime)
        for owner, attribute, name in watched:
            stack.enter_context(parts.watching(owner, attribute, name))

        def around(do: Callable[[], Any]) -> Any:
            with parts.part("rest of the step"):
                return do()

        training.around = around
        stack.callback(setattr, training, "around", lambda do: do())
        with parts.part("loop: metrics read back, log, progress"):
            yield parts


def joint_parts(regime: online.OnlineRegime) -> list[tuple[Any, str, Any]]:
    """What to watch of joint training."""
    trainer = regime.trainer
    watched: list[tuple[Any, str, Any]] = [
        (online, "hardness_metrics", "metrics"),
        (regime, "_similarity", "metrics"),
        (online, "_colours", "metrics"),
        (regime, "_hard_gradient", "guard rails"),
        (regime.guard, "observe", "guard rails"),
        (trainer.generator, "forward", "generator"),
        (trainer.ema, "forward", "generator"),
        (trainer, "step", "rest of the generator's step"),
        (trainer.average, "update", "generator's updates"),
    ]
    if isinstance(trainer, GANTrainer):
        watched += [
            (trainer, "_update_discriminator", "realism"),
            (trainer, "_update_generator", "realism"),
            (trainer, "_apply", lambda name, *_: "generator" if name == "generator" else "realism"),
            (gan_training, "join_gradients", "guard rails"),
            (gan_training, "diffaugment", "augmentation for D"),
            *((optimizer, "step", "generator's updates") for optimizer in trainer.optimizers.values()),
        ]
    elif isinstance(trainer, DiffusionTrainer):
        watched += [
            (trainer, "_hard_gradients", "generator"),
            (trainer, "_denoising_gradients", "realism"),
            (trainer, "_add", "guard rails"),
            (trainer.optimizer, "step", "generator's updates"),
        ]
    return watched


def check_waiting(training: PausedTraining, options: argparse.Namespace, watch: Stopwatch) -> dict[str, Any]:
    """Steps in which an operation that waits for the GPU is an error, after a few in which it is none."""
    training(options.warmup * options.steps)
    if watch.device.type != "cuda":
        return {"waits": None, "error": "only a GPU can tell; tests/pipeline/test_no_waiting.py looks for it on a CPU"}

    def around(do: Callable[[], Any]) -> Any:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return do()
        finally:
            torch.cuda.set_sync_debug_mode("default")

    training.around = around
    try:
        training(options.steps)
    except RuntimeError as error:
        return {"waits": True, "error": str(error).splitlines()[0]}
    return {"waits": False, "steps": options.steps}


def report(row: dict[str, Any]) -> str:
    """A regime's result for people."""
    if "waits" in row:
        said = {True: "waits", None: "not known", False: "does not wait"}[row["waits"]]
        return f"{row['regime']:17s} {said}{': ' + row['error'] if 'error' in row else ''}"
    lines = [f"{row['regime']}: step {in_words(row['step_ms'])} ms"]
    for who in ("bare", "naive", "careful"):
        if f"over_{who}" in row:
            lines.append(f"  over {who:8s}{in_words(row[f'over_{who}'], 3)}   ({in_words(row[f'{who}_ms'])} ms)")
    if "host_ms" in row:
        lines.append(f"  host          {in_words(row['host_ms'])} ms")
    for name, value in row["parts_ms"].items():
        bare = f"   bare {row['bare_parts_ms'][name]:9.2f}" if name in row["bare_parts_ms"] else ""
        lines.append(f"  {name:40s}{value:9.2f} ms {row['between'][name]:+8.1%} of bare{bare}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
