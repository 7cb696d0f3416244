"""What comes next: after a command a line on stderr says what to type then. Nothing here imports torch."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pipeline.data.specs import parse_spec
from ..pipeline.errors import DataError, UsageError
from ..pipeline.files import read_json
from ..pipeline.hub.locations import is_hub_location
from ..pipeline.options.config import option_words
from ..pipeline.progress.line import say
from ..pipeline.runs.folder import command_of, read_config

if TYPE_CHECKING:
    from ..pipeline.configs.embed import EmbedConfig


def say_next(as_json: bool, *words: Any) -> None:
    """Say which command comes next, by its words after `synthcl`; nothing beside JSON, or without words."""
    if words and not as_json:
        say(f"next: synthcl {shlex.join(str(word) for word in words)}")


def after_sampling(source: str, as_json: bool, prompts: str | None = None) -> None:
    """Once a generator has been looked at, of the prompts in a file where it draws those."""
    out = Path("shards") / (Path(source).name or "set")
    drawn = ("--prompts", prompts) if prompts is not None else ()
    say_next(as_json, "generate", "--generator", source, *drawn, "--num-samples", 10_000, "--pairs", "--out", out)


def after_generating(generator: str, out: str, as_json: bool) -> None:
    """Once a set is whole: training on it and on what its generator was trained on, where that is known."""
    size = _options_of(generator).get("image_size")
    sized = ("--image-size", size) if size is not None else ()
    data = data_of(generator) or ("--data", "SPEC")
    say_next(as_json, "train", *data, *sized, "--shards", out, "--epochs", 100, "--out", "RUN")


def after_training(run: str, data: str, as_json: bool) -> None:
    """Once an encoder is trained: to probe it on the images that it was trained on, or to hand it on where they have no
    labels."""
    say_next(as_json, *_probe(run, data))


def after_exporting(run: str, as_json: bool) -> None:
    """Once an encoder is exported: to embed the images that it was trained on, where those are known."""
    if (data := data_of(run)) is not None:
        say_next(as_json, "embed", run, *data, "--out", f"{str(run).rstrip('/')}-features.parquet")


def after_embedding(run: str, config: EmbedConfig, as_json: bool) -> None:
    """Once there are features: the same again with their picture, or where that is."""
    if config.picture is None:
        drawn = dataclasses.replace(config, picture=str(Path(config.out).with_suffix(".png")))
        say_next(as_json, "embed", run, *option_words(drawn))
    elif not as_json:
        say(f"next: open {config.picture} to look at it")


def after_submitting(script: str, job_id: str | None, out: str, as_json: bool) -> None:
    """Once Slurm has the jobs of a set, or their script is written: how to see how far they are."""
    if as_json:
        return
    if job_id is None:
        say(f"next: sbatch {shlex.quote(script)}")
    else:
        say(f"job {job_id} is submitted; `squeue --job {job_id}` shows its tasks")
        say_next(as_json, "shards", "list", out)
        say(f"and once no task is left: synthcl shards verify {shlex.quote(str(out))}")


def after_evaluating(run: str, as_json: bool) -> None:
    """Once an encoder is evaluated: to compare it with those beside it of another regime, or to hand it on if it is no
    export already."""
    others = _other_regimes(Path(run))
    if others:
        runs = [word for path in (run, *others) for word in ("--run", path)]
        say_next(as_json, "compare", *runs, "--out", Path(run).parent / "compared")
    elif not _is_export(Path(run)):
        say_next(as_json, *_export(run))


def data_of(run: str) -> Sequence[str] | None:
    """The options that name the images that a run was trained on, as it was given them; None if that is no run."""
    options = _options_of(run)
    return ("--data", options["data"], *_rooted(options)) if "data" in options else None


def _rooted(options: Mapping[str, Any]) -> Sequence[str]:
    """Where the data sets of a run are, if it was told."""
    root = options.get("data_root")
    return ("--data-root", root) if root is not None else ()


def _options_of(run: str) -> dict[str, Any]:
    """The options of a run; none if that is no run."""
    try:
        return read_config(run) if command_of(run) is not None else {}
    except DataError:
        return {}


def _probe(run: str, data: str) -> Sequence[str]:
    """The probe of a run that was trained on `data`, with what it needs beside; or its export, where there are no
    labels to probe with."""
    from ..pipeline.data.sources import may_have_labels, test_spec  # this imports NumPy

    probe = ("eval", "linear", run, "--data")
    root = _rooted(_options_of(run))
    try:
        location = parse_spec(data).location
        if is_hub_location(location):  # where looking takes time
            return (*probe, data)
        fitted = next((spec for spec in (data, location) if may_have_labels(spec)), None)  # stl10:unlabeled: stl10
        if fitted is None:
            return _export(run)
        scored = test_spec(fitted)
        known = scored and may_have_labels(scored)
        return (*probe, fitted, *(() if known else ("--test-data", "SPEC")), *root)
    except (UsageError, DataError, OSError):  # the images are here no more
        return (*probe, data, *root)


def _is_export(folder: Path) -> bool:
    """Whether a folder is what `export` wrote."""
    try:
        return "exported_to" in read_json(folder / "config.json", "")
    except DataError:
        return False


def _export(run: str) -> Sequence[str]:
    return "export", run, "--out", f"{str(run).rstrip('/')}-encoder"


def _other_regimes(run: Path) -> Sequence[Path]:
    """The first finished run of each other regime in the folder that a run lies in."""
    from ..pipeline.runs.listing import summarize_run

    if command_of(run) != "train":
        return []
    own = summarize_run(run)
    found: dict[str, Path] = {}
    for path in sorted(run.resolve().parent.iterdir()):
        if path.name == run.resolve().name or command_of(path) != "train":
            continue
        row = summarize_run(path)
        alike = all(row[name] == own[name] for name in ("data", "learner", "backbone", "total_steps"))
        if row["state"] == "finished" and alike and row["regime"] not in (own["regime"], None):
            found.setdefault(row["regime"], run.parent / path.name)
    return list(found.values())
