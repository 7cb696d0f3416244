"""One training of the comparison: an arm with a seed, measured at given points, continued where it was left."""

from __future__ import annotations

import fcntl
import io
import math
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from measure import Judge
from recipes import Arm, create
from results import FILE, append, read

from synthcl.pipeline.data import GlobalOrder, ImageStore
from synthcl.pipeline.files import write_file
from synthcl.pipeline.images.grids import save_grid
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.views import to_float

GRID_SAMPLES = 64
MARGIN_STEPS = 100
"""Steps that a reported margin is the mean of. Ours."""

CPU_SECONDS, STEPS = "cpu_seconds", "steps"


@dataclass(frozen=True)
class Plan:
    """What all jobs have in common.

    Attributes:
        out: the folder.
        store: real images.
        judge: measures.
        batch_size: real images a step.
        match: weights that the networks of others are to have about as many of.
        unit: of the points, `cpu_seconds` or `steps`.
        points: when to measure, ascending.
        save_every: CPU seconds of training between saved states.
    """

    out: Path
    store: ImageStore
    judge: Judge
    batch_size: int
    match: dict[str, int]
    unit: str
    points: tuple[float, ...]
    save_every: float


class Job:
    """An arm with a seed.

    CPU time is that of this process while it reads images and takes steps; building, measuring and saving do not count.
    """

    def __init__(self, plan: Plan, arm: Arm, seed: int) -> None:
        self.plan, self.arm, self.seed = plan, arm, seed
        self.name = f"{arm.name}-seed{seed}".replace("/", "_")
        self.state_file = plan.out / "states" / f"{self.name}.pt"
        self.key = Key.from_seed(seed).child("gan comparison")

    def missing(self) -> list[float]:
        """The points at which no result is there."""
        own = [row for row in read(self.plan.out / FILE) if (row["arm"], row["seed"]) == (self.arm.name, self.seed)]
        done = {row["at"] for row in own if row["unit"] == self.plan.unit}
        return [point for point in self.plan.points if point not in done]

    def run(self) -> None:
        """Train on from the saved state until every point is measured."""
        self._begin()
        saved = self.cpu_seconds
        for point in self.missing():
            if self._position() > point:
                self._say(f"is past {point:g} {self.plan.unit}, which was never measured: passed over")
                continue
            while self._position() < point and self._is_healthy():
                self._step()
                if self.cpu_seconds - saved >= self.plan.save_every:
                    self._save()
                    saved = self.cpu_seconds
            # The result first: after a kill between the two, the point is done and a part of the training repeated.
            self._record(point)
            self._save()
            saved = self.cpu_seconds

    def _begin(self) -> None:
        torch.manual_seed(self.key.child("weights").bits)
        self.recipe = create(self.arm, self.plan.store.image_size, self.plan.match)
        self.order = GlobalOrder(len(self.plan.store), self.plan.batch_size, self.key.child("order"))
        self.num_steps, self.cpu_seconds, self.wall_seconds = 0, 0.0, 0.0
        self.margins: deque[float] = deque(maxlen=MARGIN_STEPS)
        if self.state_file.exists():
            state = torch.load(self.state_file, weights_only=True)
            self.recipe.load_state_dict(state["recipe"])
            self.num_steps, self.cpu_seconds = state["num_steps"], state["cpu_seconds"]
            self.wall_seconds = state["wall_seconds"]
            self.margins.extend(state["margins"])
            self._say(f"goes on at step {self.num_steps}")

    def _step(self) -> None:
        cpu, wall = time.process_time(), time.monotonic()
        real = to_float(self.plan.store.read(self.order.indices(self.num_steps))) * 2 - 1
        margin = self.recipe.step(real, self.key.child("step", self.num_steps))
        if margin is not None:
            self.margins.append(margin.item())
        self.num_steps += 1
        self.cpu_seconds += time.process_time() - cpu
        self.wall_seconds += time.monotonic() - wall

    def _position(self) -> float:
        return self.cpu_seconds if self.plan.unit == CPU_SECONDS else self.num_steps

    def _is_healthy(self) -> bool:
        """Whether G's weights are finite; where D's are not, its gradient soon spoils them too."""
        return all(math.isfinite(p.sum().item()) for p in self.recipe.generator.parameters())

    def _save(self) -> None:
        buffer = io.BytesIO()
        state = {
            "recipe": self.recipe.state_dict(),
            "num_steps": self.num_steps,
            "cpu_seconds": self.cpu_seconds,
            "wall_seconds": self.wall_seconds,
            "margins": list(self.margins),
        }
        torch.save(state, buffer)
        write_file(self.state_file, buffer.getvalue())

    def _record(self, point: float) -> None:
        """A line of results, and a grid of samples. A training that diverged has null for its distance."""
        healthy = self._is_healthy()
        parameters = self.recipe.parameters()
        margin = sum(self.margins) / len(self.margins) if self.margins else math.nan
        row = {
            "arm": self.arm.name,
            "recipe": self.arm.recipe,
            "options": self.arm.options,
            "seed": self.seed,
            "unit": self.plan.unit,
            "at": point,
            "steps": self.num_steps,
            "images": self.num_steps * self.plan.batch_size,
            "cpu_seconds": round(self.cpu_seconds, 3),
            "wall_seconds": round(self.wall_seconds, 3),
            "parameters_generator": parameters["generator"],
            "parameters_discriminator": parameters["discriminator"],
            "margin": margin if math.isfinite(margin) else None,
            **dict.fromkeys(("frechet_distance", "precision", "recall", "checkerboard")),
        }
        if healthy:
            # The same latents at each point, so that points of a training differ by the training alone.
            row |= self.plan.judge.measure(self.recipe, self.key.child("samples"))
            grid = self.recipe.draw(GRID_SAMPLES, self.key.child("grid"))
            save_grid(to_float(grid) * 2 - 1, self.plan.out / "grids" / f"{self.name}-{point:g}.png")
        append(self.plan.out / FILE, row)
        found = f"{row['frechet_distance']:.2f}" if healthy else "none: it diverged"
        self._say(f"{point:g} {self.plan.unit}, {self.num_steps} steps: Fréchet distance {found}")

    def _say(self, text: str) -> None:
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)


@contextmanager
def claimed(job: Job) -> Iterator[bool]:
    """Whether this process has the job to itself for the time being; the kernel ends the claim of a dead process."""
    path = job.state_file.with_suffix(".lock")
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
