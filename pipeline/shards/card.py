"""The data-set card of a set: what a reader must know of it before using it, as a README.md of the Hugging Face kind.

It lies beside the tars and is no part of the set: neither its recipe nor its manifest knows of it, and other readers
pass it by. The picture lies in the hidden folder, where `datasets` does not take it for data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..configs.shards import CardConfig
from ..errors import DataError, UsageError
from ..files import write_file
from ..options.config import takes_options
from .layout import HIDDEN, member_extensions
from .manifest import Manifest, canonical_json, flatten
from .network import is_url
from .preview import preview_shards
from .reader import ShardSet, open_shard_set

CARD_FILE = "README.md"
PICTURE = f"{HIDDEN}/samples.png"
NUM_SHOWN = 32
"""Samples in the card's picture. Ours."""
LAST_LINE = "Written by `synthcl shards card`, which replaces it."


@takes_options(CardConfig)
def write_card(directory: str | Path, config: CardConfig) -> dict[str, Any]:
    """Write SET/README.md, and the picture that it shows.

    Args:
        directory: the set's folder.
        config: the options, or they by name.

    Returns:
        `card` and `picture`, their paths.

    Raises:
        UsageError: images that are not there, or a URL.
        DataError: no complete set, a README.md of someone else's, or a place that cannot be written.
    """
    if is_url(directory):
        raise UsageError(f"{directory} is not a folder here; copy the set, and write the card there")
    directory = Path(directory)
    shards = open_shard_set(directory)
    card = directory / CARD_FILE
    if card.exists() and not is_own_card(card):
        raise DataError(f"{card} is not a card that synthcl wrote: move it away first")
    preview_shards(directory, out=str(directory / PICTURE), num_samples=NUM_SHOWN, **config.images())
    try:
        write_file(card, card_text(shards, directory.resolve().name, licence=config.license))
    except OSError as error:
        raise DataError(f"cannot write {card}: {error.strerror}") from None
    return {"card": str(card), "picture": str(directory / PICTURE)}


def is_own_card(card: Path) -> bool:
    """Whether a README.md was written by `write_card`, which may replace it."""
    return LAST_LINE in card.read_text(errors="replace")


def card_text(shards: ShardSet, name: str, *, licence: str | None = None, repository: str | None = None) -> str:
    """The card of a set, which is called `name`.

    Args:
        shards: the set.
        name: of the set.
        licence: under which it may be used, as the hub writes it: `cc-by-4.0`; None to say nothing of it.
        repository: USER/NAME on the hub, where the card is written for one.
    """
    manifest = shards.locator.manifest
    head = {
        "pretty_name": name,
        **({"license": licence} if licence else {}),
        # Where adopted tars come from, nobody knows.
        "tags": ["webdataset", *([] if manifest.kind == "adopted" else ["synthetic"]), "synthcl"],
        "configs": [{"config_name": "default", "data_files": "*.tar"}],
    }
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---",
        f"# {name}",
        _what(manifest),
        f"![some of its samples]({PICTURE})",
        _facts(manifest, sum(shard.size for shard in manifest.shards)),
        "## Use",
        f"With webdataset{', in a copy of the repository' if repository else ''}:\n\n"
        f"```python\n{_with_webdataset(manifest)}\n```",
        f"With datasets:\n\n```python\n{_with_datasets(manifest, repository)}\n```",
        "With synthcl, in contrastive learning:",
        f"```\nsynthcl train --data SPEC --shards {f'hf://datasets/{repository}' if repository else name} "
        "--epochs 200 --out RUN\n```",
        "## Recipe",
        _what_recipe(manifest),
        _table({name: _shown(value) for name, value in flatten(manifest.recipe.values).items()}),
        _table(manifest.made_with),
        "## Limits",
        f"{_origin(manifest)} {_labels(shards)}",
        LAST_LINE,
    ]
    return "\n\n".join(parts) + "\n"


def _what(manifest: Manifest) -> str:
    kinds = {
        "generated": "Samples of a generator, drawn once",
        "recorded": "What a training drew of its generator, in the order in which the encoder saw it",
        "adopted": "WebDataset tars that synthcl has indexed",
    }
    tars = "tar" if len(manifest.shards) == 1 else "tars"
    views = manifest.views_per_sample
    groups = f", each {'two' if views == 2 else views} similar images" if views > 1 else ""
    return f"{kinds[manifest.kind]}{groups}: {manifest.num_samples:,} samples in {len(manifest.shards):,} {tars}."


def _facts(manifest: Manifest, size: int) -> str:
    return _table(
        {
            "samples": f"{manifest.num_samples:,}",
            "images a sample": str(manifest.views_per_sample),
            "pixels a side": str(manifest.image_size or "different"),
            "format": manifest.image_format or "different",
            "tars": f"{len(manifest.shards):,}, {size:,} bytes",
            "recipe": f"`{manifest.recipe.hash}`",
        }
    )


def _members(manifest: Manifest) -> list[str]:
    """The names of a sample's images in other readers."""
    return [end[1:] for end in member_extensions(manifest.views_per_sample, manifest.image_format or "png")]


def _what_recipe(manifest: Manifest) -> str:
    if manifest.kind == "adopted":
        return "A checksum of its tars' names and contents; versions of libraries are those that indexed it."
    return "What its samples are a function of, besides their index; versions of libraries are those that wrote it."


def _origin(manifest: Manifest) -> str:
    """Where the images come from, and what follows from it."""
    if manifest.kind == "adopted":
        return "The images are those of the tars that were indexed, which do not say where they come from."
    return (
        "The images are synthetic. They carry what the generator has learned, the faults and the biases of the images "
        "it was trained on too, and they may be near copies of some: `synthcl eval quality` measures that."
    )


def _labels(shards: ShardSet) -> str:
    """What the set says its images show, and how far to trust it."""
    manifest = shards.locator.manifest
    adopted = manifest.kind == "adopted"
    columns = shards.locator.column_names() if adopted else manifest.recipe.values.get("columns") or []
    said = [name for name in ("label", "class", "prompt") if name in columns]
    if not said:
        return "They have no labels."
    if adopted:
        names = " and ".join(f"`{name}`" for name in said)
        return f"What they show is said in the {'columns' if len(said) > 1 else 'column'} {names}; nobody checked."
    where = f", and as {' and '.join(f'KEY.{name}' for name in manifest.labels)} in the tars" if manifest.labels else ""
    return (
        f"The {' and '.join(said)} of each is what it was drawn for, in the column of that name{where}; nobody checked."
    )


def _with_webdataset(manifest: Manifest) -> str:
    names = [shard.name for shard in manifest.shards]
    return "\n".join(
        [
            "import webdataset as wds",
            "",
            f"tars = {names[0]!r}" if len(names) == 1 else "import glob\n\ntars = sorted(glob.glob('*.tar'))",
            "dataset = wds.WebDataset(tars, shardshuffle=False).decode('pil')",
            "for sample in dataset:",
            f"    images = [sample[name] for name in {_members(manifest)!r}]",
        ]
    )


def _with_datasets(manifest: Manifest, repository: str | None) -> str:
    source = repr(repository) if repository else "'webdataset', data_files='*.tar'"
    return "\n".join(
        [
            "from datasets import load_dataset",
            "",
            f"dataset = load_dataset({source}, split='train')",
            f"images = [dataset[-1][name] for name in {_members(manifest)!r}]",
        ]
    )


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text.replace("|", "\\|")


def _table(rows: dict[str, str]) -> str:
    return "\n".join(["|  |  |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])
