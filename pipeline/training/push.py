"""A pretrained generator on the Hugging Face hub, with a model card, where `hf://USER/NAME` names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..configs.pretrain import PretrainConfig
from ..files import read_json
from ..hub.pushing import Content, Repository
from ..options.config import command_line
from ..runs.folder import read_config

OWN = ("push", "private", "license")
"""Options of the push itself, which a card's command leaves out."""
CARD_FILE, PICTURE = "README.md", "samples.png"
MEASURES = {
    "frechet_distance": "Fréchet distance to real images",
    "frechet_distance_real": "of real images to others",
    "precision": "precision",
    "recall": "recall",
    "checkerboard": "amplitude of a checkerboard, levels of 255",
    "checkerboard_real": "of real images",
}
"""What --eval-encoder measures, and what a card calls it."""


def push_generator(run: Path, name: str, *, private: bool = False, licence: str | None = None) -> dict[str, Any]:
    """Push the generator of a finished run, all that joint training takes up, a card, and its last samples.

    Args:
        run: the folder of a run of `synthcl pretrain`.
        name: USER/NAME.
        private: whether a new repository is for its owner alone.
        licence: for the card, as the hub writes it; None to say nothing of it.

    Returns:
        What `Repository.push` returns, and `generator`, the location that --generator takes.

    Raises:
        DataError: the hub refuses or cannot be reached.
    """
    folder = run / "generator"
    files: dict[str, Content] = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    pictures = sorted((run / "samples").glob("*.png"))
    if pictures:
        files[PICTURE] = pictures[-1]
    result = read_json(run / "result.json", "remove it, or restore it from a copy")
    files[CARD_FILE] = generator_card(name, result, read_config(run), bool(pictures), licence).encode()
    repository = Repository(name, "model", private=private)
    pushed = repository.push(files, f"Generator {result['generator_hash'][:16]}")
    return {**pushed, "generator": f"hf://{name}"}


def generator_card(
    name: str, result: dict[str, Any], options: dict[str, Any], pictured: bool, licence: str | None
) -> str:
    """The card.

    Args:
        name: USER/NAME.
        result: what the run came to.
        options: those of the run.
        pictured: whether its samples lie beside the card.
        licence: as `push_generator`.
    """
    size = result["image_size"]
    head = {
        **({"license": licence} if licence else {}),
        "library_name": "synthcl",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["synthetic", "synthcl", result["generator"]],
    }
    command = command_line("pretrain", PretrainConfig.from_values({n: v for n, v in options.items() if n not in OWN}))
    facts = {
        "kind": result["generator"],
        "pixels a side": str(size),
        "trained on": f"{options.get('data')} ({result['num_images']:,} images)",
        "steps": f"{result['steps']:,}",
        "weights": f"`{result['generator_hash']}`",
        **{words: f"{result[key]:.4g}" for key, words in MEASURES.items() if key in result},
    }
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---",
        f"# {name}",
        f"A generator of RGB images of {size} x {size} pixels, for contrastive learning with synthetic images, made "
        "ahead or made jointly. synthcl trained it.",
        *([f"![some of its samples]({PICTURE})"] if pictured else []),
        "## Use",
        "Samples made ahead, and joint training that starts from it:",
        f"```\nsynthcl generate --generator hf://{name} --num-samples 10000 --pairs --out SHARDS\n"
        f"synthcl train --data SPEC --online --generator hf://{name} --epochs 100 --out RUN\n```",
        "## Training",
        "\n".join(["|  |  |", "| --- | --- |", *(f"| {key} | {value} |" for key, value in facts.items())]),
        f"The command:\n\n```\n{command}\n```",
        "## Limits",
        "Its samples carry what it has learned, the faults and the biases of its training images too, and may be near "
        "copies of some: `synthcl eval quality` measures that.",
    ]
    return "\n\n".join(parts) + "\n"
