"""Help and choices that several commands share."""

from typing import Any

from ..data.cache_modes import CACHE_MODES
from ..options.config import option

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
TRACKERS = ("tensorboard", "wandb")
EVAL_SAMPLES = 5000
"""Ours: with as many real images, the distance of real to real ones is small beside what training changes."""


def data_option():
    return option(
        group="Images",
        help="Images: a name (digits, cifar10, ...), a path (folder, Parquet, WebDataset tars), or one on the hub "
        "(hf://datasets/USER/NAME); :split may follow, then a part: '[:10%]' in the order of the file, "
        "'[:10%,shuffled]' at random, '[:10%,balanced]' at random with the same number of each class (',seed=N' draws "
        "another).",
        metavar="SPEC",
    )


def data_root_option(group: str = "Images", needs: str | tuple[str, ...] = ()):
    return option(
        None,
        help="Folder of the torchvision datasets, downloaded into when missing. [default: ~/.cache/synthcl/data]",
        metavar="DIR",
        may_change=True,
        needs=needs,
        group=group,
    )


def image_size_option():
    return option(
        None,
        help="Pixels a side; others are resized and centre-cropped. The images' own size if not given.",
        minimum=8,
        group="Images",
    )


def layer_decay_option(group: str | None = None):
    return option(
        None,
        help="Vision transformers of timm: each layer learns at this part of the rate of the layer above it; 0.75 is "
        "usual (BEiT, MAE). One rate for all if not given.",
        above=0,
        maximum=1,
        group=group,
    )


def seed_option(group: str | None = None):
    return option(0, help="Seed that all randomness follows from.", minimum=0, maximum=2**63 - 1, group=group)


def cache_option():
    return option(
        "auto",
        help="Where decoded images stay: device; ram; disk, in a file that all processes and runs share (not of sets "
        "at URLs); none; auto, the first where they fit.",
        choices=CACHE_MODES,
        may_change=True,
        group="Computing",
    )


def log_every_option():
    return option(10, help="Steps between rows of metrics.jsonl.", minimum=1, group="Records")


def push_option():
    return option(
        None,
        help="Push the result to this repository of the Hugging Face hub too, with a model card; it is made if it does "
        "not exist. Needs a token that may write, from `hf auth login` or in HF_TOKEN.",
        metavar="USER/NAME",
        may_change=True,
        group="Hub",
    )


def private_option(**more: Any):
    return option(
        False,
        help="Make a new repository on the hub for its owner alone.",
        may_change=True,
        group="Hub",
        **more,
    )


def license_option(**more: Any):
    return option(
        None,
        help="The licence that the card states, as the hub writes it: cc-by-4.0, apache-2.0, other.",
        metavar="LICENSE",
        may_change=True,
        group="Hub",
        **more,
    )


def checkpoint_every_option(default: int):
    return option(default, help="Steps between checkpoints.", minimum=1, may_change=True, group="Records")


def keep_option():
    return option(2, help="How many checkpoints to keep, the newest ones.", minimum=1, may_change=True, group="Records")


def tracker_option():
    return option(
        [],
        help="Send metrics and options to a tracker too; may be repeated. tensorboard writes to RUN/tensorboard.",
        choices=TRACKERS,
        may_change=True,
        group="Records",
    )
