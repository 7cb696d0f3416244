"""Runs `synthcl train` in two processes, in which something happens, and in one.

Run as `python processes_worker.py FOLDER`. Writes `FOLDER/results.json`: of each scenario the exit codes and messages
of the processes. They are forked from here after the imports, which a test cannot wait for again and again, and they
find each other by a file, as launched ones do by a port.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: a forked process must find no thread pool of its parent

import importlib
import json
import signal
import socket
import sys
import time
import traceback
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from PIL import Image

from synthcl.cli import main
from synthcl.learners.base import LearnerOutput
from synthcl.learners.simclr import SimCLR
from synthcl.pipeline.data import open_images
from synthcl.pipeline.generation import rendering
from synthcl.pipeline.regimes.assembly import RealImages
from synthcl.pipeline.runs import agreement, loop
from synthcl.pipeline.runs.metrics import MetricsLog
from synthcl.pipeline.runtime import distributed
from synthcl.pipeline.training.step import TrainingStep
from synthcl.pipeline.views import augmentation

# What is imported and read late: the command's own parts, and the digits.
train = importlib.import_module("synthcl.pipeline.training.train")
pretrain = importlib.import_module("synthcl.pipeline.training.pretrain")
importlib.import_module("synthcl.pipeline.generation.local_sets")
open_images("digits", image_size=8)
agreement.SEEN_SECONDS = 1.0  # on one machine a file is seen at once
OPTIONS = "train --data digits --image-size 8 --batch-size 16 --backbone resnet10-w8 --precision fp32 --log-every 1"
UNLIKE = OPTIONS.replace("digits", "data").replace("--precision fp32 ", "")
PRETRAIN = "pretrain --data digits --image-size 8 --batch-size 16 --preset tiny --log-every 1"
GENERATE = "generate --num-samples 6 --samples-per-shard 3 --workers 0 --json"
SECONDS = 60
PATIENCE = 2
"""Seconds that the processes of `slow_part` wait for each other, in place of `distributed.TIMEOUT`."""


def at_step(index, action):
    """Have `action` called in this process when step `index` begins."""
    original = TrainingStep.__call__

    def step(self, number):
        if number == index:
            action()
        return original(self, number)

    TrainingStep.__call__ = step


def failing_read(rank):
    def fail():
        raise OSError("the disk is gone")

    if rank == 1:
        at_step(3, lambda: setattr(RealImages, "images", lambda *_: fail()))


def nan_in_one(rank):
    original = SimCLR.forward

    def broken(self, views, groups, num_real):
        output = original(self, views, groups, num_real)
        return LearnerOutput(output.loss * float("nan"), output.hardness, output.embeddings)

    if rank == 1:
        at_step(5, lambda: setattr(SimCLR, "forward", broken))


def signal_to_one(rank):
    """The process that writes is slow; the other tells what it has written when it ends itself."""
    save, interrupted = loop.save_checkpoint, loop.Interrupted
    checkpoints = Path(sys.argv[1], "signal_to_one", "checkpoints")

    def slow_save(*arguments, **options):
        time.sleep(0.5)
        return save(*arguments, **options)

    def telling(*arguments):
        print("there are", *sorted(os.listdir(checkpoints)), file=sys.stderr)
        return interrupted(*arguments)

    if rank == 0:
        loop.save_checkpoint = slow_save
    else:
        loop.Interrupted = telling
        at_step(3, lambda: os.kill(os.getpid(), signal.SIGTERM))


def nothing(rank):
    pass


def lost_before(rank):
    """One process is lost before the first step, while the encoder is given to all."""
    prepare = train.prepare

    def prepared(*arguments):
        if rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return prepare(*arguments)

    train.prepare = prepared


def lost_after(rank):
    """One process is lost when the result is there."""
    made = {train: train.made_by_main, pretrain: pretrain.made_by_main}

    def lost(module):
        def make(*arguments, **options):
            result = made[module](*arguments, **options)
            if rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(1)
            return result

        return make

    for module in made:
        module.made_by_main = lost(module)


def watched(rank):
    pass


def watch_draws(file):
    """Note in a file, for each step, whose images it reads and by what numbers its views are drawn."""
    steps = []
    images, sample_views = RealImages.images, augmentation.sample_views

    def note_images(self, step):
        steps.append([self.order.indices(step, self.share.rank, self.share.num_processes).tolist(), []])
        return images(self, step)

    def note_views(draws, *arguments):
        parameters = sample_views(draws, *arguments)
        crop = parameters.crop
        steps[-1][1] += torch.stack((draws.indices.double(), crop.top.double(), crop.width.double()), 1).tolist()
        return parameters

    RealImages.images, augmentation.sample_views = note_images, note_views
    return lambda: file.write_text(json.dumps(steps))


def slurm(rank):
    """What `srun` sets in a task. The processes find each other by it alone."""
    os.environ.update(SLURM_JOB_ID="9", SLURM_STEP_ID="0", SLURM_STEP_NUM_TASKS="2", SLURM_STEP_NUM_NODES="1")
    os.environ.update(SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank), SLURM_NODEID="0", SLURM_NTASKS="2")
    os.environ.update(SLURM_STEP_TASKS_PER_NODE="2", SLURM_STEP_NODELIST="here", CUDA_VISIBLE_DEVICES="")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def apart(rank):
    """Each process has a folder of its own, as on disks that are not shared."""


def slow_row(rank):
    """The main process writes the last row while the other has gone on."""
    append = MetricsLog.append

    def slow(self, row):
        time.sleep(1)
        return append(self, row)

    MetricsLog.append = slow


def slow_part(rank):
    """One process's part of a set takes longer than the processes wait for each other in a training."""
    begin = rendering.Drawing.begin

    def slow(self, indices):
        time.sleep(PATIENCE + 4)
        return begin(self, indices)

    if rank == 1:
        rendering.Drawing.begin = slow


def unlike(rank):
    """The second machine has other images under the same name, and computes in another precision."""
    images = Path(sys.argv[1], f"images-{rank}")
    for number in range(40 - 8 * rank):
        picture = images / "data" / "ab"[number % 2] / f"{number}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(picture)
    os.chdir(images)
    distributed._has_bf16 = lambda: rank == 0


def child(scenario, rank, world, folder, options, command):
    output = os.open(folder / f"{scenario.__name__}-{rank}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 2)
    os.dup2(os.open(folder / f"{scenario.__name__}-{rank}.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    if world > 1 and scenario is not slurm:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=str(world))
        os.environ.update(MASTER_ADDR="127.0.0.1")
        store = f"file://{folder}/{scenario.__name__}.store"
        timeout = timedelta(seconds=PATIENCE if scenario is slow_part else SECONDS)
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world, timeout=timeout)
    scenario(rank)
    write = watch_draws(folder / f"{options[0]}-{rank}.draws")
    try:
        out = folder / options[0].format(rank=rank)
        given = [option.format(rank=rank) for option in options[1:]]
        main.main([*command.split(), "--out", str(out), *given], standalone_mode=True)
    finally:
        write()


def run(scenario, world, folder, *options, command=OPTIONS):
    """Exit codes and messages of the processes; those that do not end in `SECONDS` are killed and have none."""
    pids = []
    for rank in range(world):
        pid = os.fork()
        if not pid:
            try:
                child(scenario, rank, world, folder, options, command)
                os._exit(0)
            except SystemExit as end:
                os._exit(end.code)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(99)
        pids.append(pid)
    codes, deadline = {}, time.monotonic() + SECONDS
    while len(codes) < world and time.monotonic() < deadline:
        time.sleep(0.01)
        for pid in set(pids) - set(codes):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[pid] = os.waitstatus_to_exitcode(status)
    for pid in set(pids) - set(codes):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    Path(folder / f"{scenario.__name__}.store").unlink(missing_ok=True)  # of one group of processes
    messages = [(folder / f"{scenario.__name__}-{rank}.err").read_text() for rank in range(world)]
    seconds = time.monotonic() - deadline + SECONDS
    return {"codes": [codes.get(pid) for pid in pids], "messages": messages, "seconds": seconds}


APART = ("fresh", "begun", "finished")
"""What one of two processes that see other folders has there."""


def draws(folder, name, world):
    """Those of all processes, step by step: the images in order, the views by number."""
    parts = [json.loads((folder / f"{name}-{rank}.draws").read_text()) for rank in range(world)]
    steps = []
    for step in zip(*parts, strict=True):
        images, views = ([each for part in step for each in part[i]] for i in (0, 1))
        steps.append([images, sorted(views)])
    return steps


def main_process(folder):
    save = ["--checkpoint-every", "2"]
    results = {
        scenario.__name__: run(scenario, 2, folder, scenario.__name__, "--steps", "8", *save)
        for scenario in (failing_read, nan_in_one, signal_to_one)
    }
    run(nothing, 1, folder, "whole", "--steps", "6", *save)
    os.environ["MASTER_PORT"] = free_port()
    results["slurm"] = run(slurm, 2, folder, "slurm", "--steps", "6", *save)
    del os.environ["MASTER_PORT"]
    results["slurm"]["same_draws"] = draws(folder, "slurm", 2) == draws(folder, "whole", 1)
    moved = []
    for steps, world in ((2, 1), (4, 2), (6, 1)):
        run(nothing, world, folder, "moved", "--steps", str(steps), *save)
        moved += draws(folder, "moved", world)
    results["moved"] = {"same_draws": moved == draws(folder, "whole", 1), "steps": len(moved)}
    watch = ["--steps", "4", "--eval-every", "2", "--tracker", "tensorboard"]
    results["watched"] = run(watched, 2, folder, "watched", *watch)
    run(nothing, 1, folder, "watched_alone", *watch)
    run(nothing, 1, folder, "begun-0", "--steps", "4", *save)
    (folder / "begun-0" / "result.json").unlink()
    run(nothing, 1, folder, "finished-1", "--steps", "4", *save)
    results["apart"] = {name: run(apart, 2, folder, name + "-{rank}", "--steps", "4", *save) for name in APART}
    results["apart"]["pretrain"] = run(apart, 2, folder, "pretrain-{rank}", "--steps", "2", command=PRETRAIN)
    late = ["--log-every", "100"]
    results["slow_row"] = run(slow_row, 2, folder, "slow_row", "--steps", "4", *late)
    measured = ["--eval-encoder", "random:resnet10-w8", "--eval-samples", "20"]
    results["slow_measure"] = run(slow_row, 2, folder, "measured", "--steps", "2", *late, *measured, command=PRETRAIN)
    generator = ["--generator", str(folder / "measured")]
    results["slow_part"] = run(slow_part, 2, folder, "set", *generator, command=GENERATE)
    results["lost_before"] = run(lost_before, 2, folder, "lost-before", "--steps", "2")
    results["lost_after"] = run(lost_after, 2, folder, "lost-after", "--steps", "2")
    results["lost_generator"] = run(lost_after, 2, folder, "lost-generator", "--steps", "2", command=PRETRAIN)
    results["unlike"] = run(unlike, 2, folder, "unlike", "--steps", "4", "--seed", "{rank}", command=UNLIKE)
    results["again"] = run(nothing, 2, folder, "watched", *watch)
    results["others"] = run(nothing, 2, folder, "watched", *watch, "--seed", "1")
    (folder / "results.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main_process(Path(sys.argv[1]))
