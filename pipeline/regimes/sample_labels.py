"""Labels of synthetic samples, for learners that take labels: the classes that the samples were drawn for.

Shapes: m samples in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from ...generators import Generator
from ..configs.train import TrainConfig
from ..data import ImageStore
from ..errors import UsageError
from ..randomness import Key
from ..shards import ShardSet

LabelsOfLatents = Callable[[Tensor], Tensor]
"""Gives the labels (m,) int64 of the samples of latents (m, ...), on their device."""


def labels_of_sets(option: str, sets: Sequence[ShardSet], real: ImageStore) -> Tensor:
    """(samples,) int64, what the samples of sets were drawn for, as labels of the real images.

    Args:
        option: by which the sets were given, for the message.
        sets: in their order.
        real: the images, with labels.

    Raises:
        UsageError: a set without classes, or of a class that no real image has.
    """
    instead = "choose with --where, or leave the option out" if option == "--shards" else "leave the option out"
    known, found = _known_labels(real), []
    for each in sets:
        if "class" not in each.locator.column_names():
            raise UsageError(
                f"--synthetic-classes: {each.path} has no column class: its generator takes none, or it is older "
                "than that column"
            )
        classes = each.column("class").astype(np.int64)
        _check_known(set(classes.tolist()), known, f"{each.path} has samples", instead)
        found.append(classes)
    return torch.from_numpy(np.concatenate(found))


def labels_of_drawing(config: TrainConfig, generator: Generator, real: ImageStore) -> LabelsOfLatents | None:
    """What labels the samples that are drawn in the training have; None where they are to have none.

    It asks the generator for each step's classes, which waits for the device.

    Raises:
        UsageError: the generator draws for no classes, or for one that no real image has, as far as it tells; the
            others are refused when the first is drawn.
    """
    if not config.synthetic_classes:
        return None
    one = generator.sample_latents(1, draws=Key.from_seed(config.seed).at(torch.arange(1)))
    if "class" not in generator.describe(one):
        raise UsageError(
            f"--synthetic-classes: {config.source} draws for no classes, so that its samples have no labels; leave it "
            "out, or give a generator with classes"
        )

    known = _known_labels(real)

    def check(classes: Collection[int]) -> None:
        _check_known(classes, known, f"{config.source} draws samples", "choose with --classes, or leave the option out")

    def labels(latents: Tensor) -> Tensor:
        classes = generator.describe(latents)["class"]
        check(set(classes))
        return torch.tensor(classes, dtype=torch.int64, device=latents.device)

    check(set(getattr(generator, "classes", ())))  # which pipelines have; the contract asks for no such list
    return labels


def _known_labels(real: ImageStore) -> frozenset[int]:
    assert real.labels is not None, "who asks for classes has looked"
    return frozenset(np.unique(real.labels).tolist())


def _check_known(classes: Collection[int], known: frozenset[int], who: str, instead: str) -> None:
    """Raises UsageError unless each class is a label of a real image."""
    if others := sorted(set(classes) - known):
        raise UsageError(
            f"--synthetic-classes: {who} of class {others[0]}, and no real image has that label; {instead}"
        )
