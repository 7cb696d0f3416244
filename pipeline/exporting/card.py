"""The model card: what a reader must know of an encoder before using it, as a README.md of the Hugging Face kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ..configs.train import TrainConfig
from ..encoder import Encoder
from ..files import read_json
from ..options.config import command_line
from ..runs.folder import read_config
from ..runs.length import describe_changes, describe_schedule
from ..views import IMAGENET_MEAN, IMAGENET_STD
from .targets import Target, has_small_stem


def model_card(encoder: Encoder, home: Path, target: Target, loading: str, licence: str | None = None) -> str:
    """The card.

    Args:
        encoder: what is exported.
        home: the run's folder, or the encoder's own where there is no run.
        target: as what it is exported.
        loading: lines of Python that load it from beside the card.
        licence: under which it may be used, as the hub writes it; None to say nothing of it.
    """
    training = _training(home)
    labels = _uses_labels(training)
    head = {
        **({"license": licence} if licence else {}),
        "library_name": target.library,
        "pipeline_tag": "image-feature-extraction",
        "tags": [*(["self-supervised"] if labels is False else []), "contrastive-learning", "synthcl"],
    }
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---",
        f"# {encoder.name}, {encoder.image_size} pixels, {_title(training)}",
        f"An image encoder: RGB images of {encoder.image_size} x {encoder.image_size} pixels to "
        f"{encoder.num_features} features." + _labels_sentence(labels) + _stem_sentence(encoder, target),
        "## Use",
        f"```python\n{loading}\n\n{_preprocessing(encoder)}\n```",
        "## Training",
        _training_text(training),
        "## Metrics",
        _metrics(home, encoder),
    ]
    return "\n\n".join(parts) + "\n"


def _training(home: Path) -> dict[str, Any] | None:
    """Options, result and environment of the run; None where there is only an encoder."""
    if not (home / "config.yaml").exists():
        return None
    return {"options": read_config(home), "result": _read(home / "result.json"), "run": _read(home / "run.json")}


def _read(file: Path) -> dict[str, Any]:
    return read_json(file, "remove it, or restore it from a copy") if file.exists() else {}


def _title(training: dict[str, Any] | None) -> str:
    if training is None:
        return "of unknown training"
    result = training["result"]
    return f"{result.get('learner', 'contrastive learning')}, regime `{result.get('regime', 'unknown')}`"


def _uses_labels(training: dict[str, Any] | None) -> bool | None:
    """Whether the encoder's training had labels; None where that is not known."""
    if training is None or not training["result"]:
        return None
    return bool(training["result"].get("uses_labels") or training["options"].get("learner") == "supcon")


def _labels_sentence(labels: bool | None) -> str:
    return "" if labels is None else f" It was trained {'with' if labels else 'without'} labels, by synthcl."


def _stem_sentence(encoder: Encoder, target: Target) -> str:
    if not has_small_stem(encoder):
        return ""
    mended = "" if target.library == "synthcl" else "; the lines below put it in place"
    return (
        " Its stem is the one for small images, a 3 x 3 convolution without max-pooling, which torchvision and timm do "
        f"not build{mended}."
    )


def _preprocessing(encoder: Encoder) -> str:
    """Lines of Python that turn an image into what the model takes, as `decode_images` does for evaluations."""
    size = encoder.image_size
    return "\n".join(
        [
            "from PIL import Image, ImageOps",
            "from torchvision.transforms import v2",
            "",
            "transform = v2.Compose([",
            "    v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True),",
            f"    v2.Normalize({list(IMAGENET_MEAN)}, {list(IMAGENET_STD)}),",
            "])",
            "# The central square of the upright image, resized as images are for the metrics.",
            'upright = ImageOps.exif_transpose(image).convert("RGB")',
            f"square = ImageOps.fit(upright, ({size}, {size}), Image.Resampling.BICUBIC)",
            f"features = model(transform(square)[None])  # (1, {encoder.num_features})",
        ]
    )


def _training_text(training: dict[str, Any] | None) -> str:
    if training is None:
        return "Not known: it was exported from an encoder's folder without the run that trained it."
    options, result, run = training["options"], training["result"], training["run"]
    facts = {
        "data": f"{options.get('data')}" + (f" ({result['num_images']:,} images)" if "num_images" in result else ""),
        "regime": result.get("regime"),
        "learner": result.get("learner"),
        "synthetic samples seen": f"{result['num_synthetic']:,}" if result.get("num_synthetic") else None,
        "generator": _generator(result),
        "steps": result.get("steps"),
        "length": describe_changes(result.get("length_changes", [])),
        "epochs": result.get("epochs"),
        "loss at the end": f"{result['loss']:.4g}" if "loss" in result else None,
        "seconds": result.get("seconds"),
        "hardware": (run.get("hardware") or {}).get("device"),
        "versions": ", ".join(f"{n} {v}" for n, v in (run.get("versions") or {}).items() if v),
    }
    table = _table(["", ""], [[name, str(value)] for name, value in facts.items() if value not in (None, "")])
    return f"{table}\n\n{_commands(options, result)}"


def _generator(result: dict[str, Any]) -> str | None:
    """What the synthetic samples are from, by hash: a path says little elsewhere."""
    if "generator_hash" in result:
        return f"weights {result['generator_hash'][:16]}"
    return f"shard sets {', '.join(h[:16] for h in result['set_hashes'])}" if "set_hashes" in result else None


def _commands(options: dict[str, Any], result: dict[str, Any]) -> str:
    """The command, or those of each length."""
    changes = result.get("length_changes", [])
    if not changes:
        return f"The command:\n\n```\n{_command(options)}\n```"
    earlier = [_command({**options, "steps": change["from"], "epochs": None}) for change in changes]
    commands = "\n".join([*earlier, _command(options)])
    stops = [f"the one before it was stopped at step {c['at']}" for c in changes if c["at"] != c["from"]]
    note = f" ({', '.join(stops)})" if stops else ""
    schedules = " ".join(f"{describe_schedule(change)}." for change in changes)
    return (
        f"The commands, one after the other{note}:\n\n```\n{commands}\n```\n\n"
        f"It is not the encoder that the last command alone trains. {schedules}"
    )


def _command(options: dict[str, Any]) -> str:
    known = {name: value for name, value in options.items() if name in TrainConfig.__dataclass_fields__}
    return command_line("train", TrainConfig.of_run(known)) if "out" in known else "not recorded"


def _metrics(home: Path, encoder: Encoder) -> str:
    """A row for each evaluation of these weights that the run's folder holds."""
    rows = []
    for file in sorted((home / "evaluations").glob("*.json")):
        result = _read(file)
        if result.get("encoder_hash") != encoder.weights_hash() or "top1" not in result or result.get("untrained"):
            continue
        low, high = result["top1_interval"]
        rows.append(
            [
                result["task"],
                result["data"],
                result["test_data"] + (" (**not held out**)" if result["scored_on_training_split"] else ""),
                f"{100 * result.get('label_fraction', 1):g}%",
                f"{100 * result['top1']:.2f} ({100 * low:.2f} to {100 * high:.2f}){_corrupted(result)}",
            ]
        )
    if not rows:
        return "None yet: `synthcl eval` leaves its results in the run's folder, and an export after it states them."
    headings = ["evaluation", "fitted on", "scored on", "labels", "top-1 % (95% bootstrap over test images)"]
    return _table(headings, rows)


def _corrupted(result: dict[str, Any]) -> str:
    """What a result says of corrupted images, beside its accuracy on images as they are."""
    return f"; {100 * result['corrupted_top1']:.2f} corrupted" if "corrupted_top1" in result else ""


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
