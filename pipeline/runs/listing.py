"""`synthcl runs`: which runs there are below a folder, what each is and how far. Nothing here imports torch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..configs.compare import CompareConfig
from ..configs.train import TrainConfig
from ..data.specs import parse_spec, same_source
from ..errors import DataError, UsageError
from ..files import check_folder, read_json, write_file
from ..options.config import check_ending
from .folder import RunFolder, read_config, read_record
from .length import describe_changes, steps_saved

QUIET_SECONDS = 600.0
"""After so long without a word in its folder an unfinished run counts as interrupted. Ours: most runs log every few
seconds, and slow ones every few minutes."""


def find_runs(folder: str | Path) -> list[Path]:
    """The folders at or below `folder` that hold a run, in order: those of a comparison after it. Links are not
    followed.

    Raises:
        DataError: there is no such folder.
    """
    folder = Path(folder)
    check_folder(folder)
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if "run.json" in files:
            yield Path(path)
            # A comparison keeps its runs in its folder; other runs have none inside.
            folders[:] = [name for name in folders if name == "runs"]


def summarize_run(path: str | Path) -> dict[str, Any]:
    """A run in a flat dict: what it is, how far it is, and what it came to.

    `state` is `finished`; `interrupted`, if it is not and nothing was written for `QUIET_SECONDS`; `unknown`, if
    something was, so that it may be running; or `damaged`, with the reason in `error`.

    Returns:
        `path`, `state`, `command`, `regime`, `learner` (of pretrain the kind of generator), `backbone`, `data`, `seed`,
        `steps` (done: logged or saved), `total_steps` (None where an earlier version was given epochs), of comparisons
        that train instead of both `runs` (finished) and `total_runs`, `seconds`, `top1` (of the
        linear probe, else of nearest neighbours, with all labels of the set that it was trained on, scored on the test
        images of that set; see `_accuracy`; None without a recorded one), `last_written` (seconds since 1970), `length`
        (how the length was changed, in words; None for a run in one go). What a run does not have is None.
    """
    path = Path(path)
    row: dict[str, Any] = {"path": str(path), **dict.fromkeys(_FIELDS)}
    try:
        record, config = read_record(path), read_config(path)
        result = RunFolder(path).result
        rows = RunFolder(path).metrics.read()
        row |= {"command": record["command"], **_facts(record["command"], config)}
        row["last_written"] = _last_written(path, record["command"])
        row["state"] = _state(result, row["last_written"])
        if record["command"] == "compare":
            row["runs"], row["total_runs"] = _runs_done(path, config)
        else:
            # A checkpoint may be newer than the last row.
            row["steps"] = max(int(rows[-1]["step"]) if rows else 0, steps_saved(path)) or None
            row["total_steps"] = record.get("total_steps", config.get("steps"))
        row["length"] = describe_changes(record.get("length_changes", [])) or None
        if result is not None:
            row["total_steps"] = row["steps"] = result.get("steps")
            row["seconds"] = result.get("seconds")
        row["top1"] = _accuracy(read_evaluations(path), config.get("data"))
    except DataError as error:
        row |= {"state": "damaged", "error": str(error)}
    return row


_FIELDS = (
    "state", "command", "regime", "learner", "backbone", "data", "seed", "steps", "total_steps", "runs", "total_runs",
    "seconds", "top1", "last_written", "length",
)  # fmt: skip


def describe_run(path: str | Path) -> dict[str, Any]:
    """`summarize_run` of a run that must be there, with its `options` and `result`, its `evaluations`, the last row of
    `metrics.jsonl` as `metrics`, and `versions` and `hardware`.

    Raises:
        DataError: no run, or a file of it is damaged.
    """
    path = Path(path)
    check_folder(path)
    if not (path / "run.json").exists():
        raise DataError(f"{path} is no run of synthcl: it has no run.json; `synthcl runs list {path}` looks below it")
    row = summarize_run(path)
    if row["state"] == "damaged":
        raise DataError(row["error"])
    rows, record = RunFolder(path).metrics.read(), read_record(path)
    return {
        **row,
        "options": read_config(path),
        "result": RunFolder(path).result,
        "metrics": rows[-1] if rows else None,
        "evaluations": read_evaluations(path),
        "versions": record.get("versions", {}),
        "hardware": record.get("hardware", {}),
    }


def read_evaluations(path: str | Path) -> list[dict[str, Any]]:
    """What was recorded in RUN/evaluations/, oldest first; see `evaluation.results`.

    Those of weights that the run had before it was extended have `former_weights` besides, which is True. Results of
    earlier versions do not name their encoder, so that it cannot be told there.

    Raises:
        DataError: one of them is damaged.
    """
    path = Path(path)
    found = [read_json(file, "remove it") for file in sorted((path / "evaluations").glob("*.json"))]
    now = (RunFolder(path).result or {}).get("encoder_hash")
    for each in found:
        if now is not None and each.get("encoder_hash", now) != now and not each.get("untrained"):
            each["former_weights"] = True
    return sorted(found, key=lambda result: str(result.get("time", "")))


def _facts(command: str, config: dict[str, Any]) -> dict[str, Any]:
    """What a run is, by its options."""
    facts = {name: config.get(name) for name in ("learner", "backbone", "data", "seed")}
    if command == "compare" and config.get("run") and config.get("steps") is None and config.get("epochs") is None:
        return {"data": facts["data"]}  # of runs that exist, each of which has its own
    if command == "train":
        try:
            facts["regime"] = TrainConfig.of_run(config).regime
        except UsageError:  # of another version
            facts["regime"] = None
    elif command == "pretrain":
        facts["learner"] = config.get("generator")
    elif command == "compare":
        facts["regime"] = config.get("regimes")
    return facts


def _runs_done(path: Path, config: dict[str, Any]) -> tuple[int | None, int | None]:
    """How many of the runs that a comparison trains are finished, and how many they are; None of those that exist."""
    try:
        compared = CompareConfig.from_values(config)
        arms = compared.arms() if compared.trains else []
    except UsageError:  # of another version
        return None, None
    seeds = range(compared.seed, compared.seed + compared.seeds)
    planned = [path / "runs" / arm.name / f"seed-{seed}" / "result.json" for arm in arms for seed in seeds]
    return (sum(file.exists() for file in planned), len(planned)) if planned else (None, None)


def _state(result: dict[str, Any] | None, last_written: float) -> str:
    if result is not None:
        return "finished"
    return "interrupted" if time.time() - last_written > QUIET_SECONDS else "unknown"


def _last_written(path: Path, command: str) -> float:
    """When something was last written to what a run grows: of a comparison, whose own folder hardly changes, anywhere
    in its folder."""
    names = ("run.json", "metrics.jsonl", "checkpoints", "samples")
    below = _everything_in(path) if command == "compare" else (path / name for name in names)
    return max(map(_written, (path, *below)))


def _everything_in(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def _written(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except OSError:  # not there, or no more
        return 0.0


def _accuracy(evaluations: list[dict[str, Any]], data: str | None) -> float | None:
    """The accuracy of the newest linear probe of the encoder, or else of kNN: with all labels, on test images, and of
    the set `data` that the run was trained on, since numbers of different sets in one column compare nothing. Of a run
    that was trained on a part of its set a probe of that part comes before one of the whole set."""
    counted = [result for result in reversed(evaluations) if data is not None and _counts(result, data)]
    for task in ("linear", "knn"):
        found = [result for result in counted if result.get("task") == task]
        if found and data is not None:
            own = parse_spec(data).part
            return min(found, key=lambda result: parse_spec(result["data"]).part != own).get("top1")
    return None


def _counts(result: dict[str, Any], data: str) -> bool:
    """Whether a result is one of the set that a run was trained on: fitted with all labels of the set or of the run's
    part of it, and scored on other images of the set, on a part of them only where the run has one."""
    other = any(result.get(name) for name in ("untrained", "scored_on_training_split", "former_weights"))
    specs = [spec for spec in (result.get("data"), result.get("test_data")) if isinstance(spec, str)]
    if other or result.get("label_fraction", 1.0) != 1.0 or len(specs) < 2:
        return False
    try:
        own, fitted, scored = (parse_spec(spec).part for spec in (data, *specs))
        parts_agree = fitted in (None, own) and (own is not None or scored is None)
        return parts_agree and all(same_source(spec, data) for spec in specs)
    except UsageError:  # of another version
        return False


def draw_curves(path: str | Path, out: str | Path) -> str:
    """Write the curves of a run's `metrics.jsonl` to a PNG; see `picture`.

    Args:
        path: the run.
        out: the picture; its folder is made if it is missing.

    Returns:
        The picture's path.

    Raises:
        UsageError: a picture that is not called `.png`.
        DataError: a run without metrics yet, or a place that cannot be written.
    """
    from .picture import draw_run

    check_ending("out", out, ".png")
    row, rows, out = summarize_run(path), RunFolder(Path(path)).metrics.read(), Path(out)
    if not rows:
        raise DataError(f"{path} has no rows in metrics.jsonl yet; there is nothing to draw")
    facts = (row["command"], row["regime"], row["learner"], row["backbone"], row["data"])
    words = [str(fact) for fact in facts if fact is not None] + [f"seed {row['seed']}", row["state"]]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_file(out, draw_run(rows, f"{path}: {', '.join(words)}"))
    except OSError as error:
        raise DataError(f"cannot write the picture {out}: {error.strerror}") from None
    return str(out)
