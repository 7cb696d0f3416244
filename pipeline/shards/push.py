"""`synthcl shards push`: a set on the Hugging Face hub, with its card, where `hf://datasets/USER/NAME` names it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ..configs.shards import PushConfig
from ..errors import DataError
from ..hub.pushing import Content, Repository, check_push
from ..options.config import takes_options
from ..progress.line import Progress
from .card import CARD_FILE, NUM_SHOWN, PICTURE, card_text, is_own_card
from .layout import HIDDEN, TABLES, manifest_path, sidecar_path
from .manifest import MAX_MANIFEST_BYTES, parse_manifest
from .network import is_url
from .preview import preview_shards
from .reader import ShardSet, open_shard_set
from .verify import verify_shard_set


@takes_options(PushConfig)
def push_shards(directory: str | Path, config: PushConfig) -> dict[str, Any]:
    """Push a complete set, which is verified first: its tars, sidecars, side tables and manifest, and a card.

    The card is written for the hub, unless SET/README.md is someone else's. What is there already is not sent again,
    and all of it is there at once, in one commit.

    Args:
        directory: the set's folder.
        config: the options, or they by name.

    Returns:
        What `Repository.push` returns, and `set`, the location that `--shards` and `--data` take.

    Raises:
        UsageError: a name that is no USER/NAME, or images for the card's picture that are not there.
        DataError: no complete set, damage in it, another set in the repository, no token, or a hub that refuses or
            cannot be reached.
    """
    check_push(config.to)
    if is_url(directory):
        raise DataError(f"{directory} is not a folder here; copy the set, and push the copy")
    directory = Path(directory)
    shards = open_shard_set(directory)
    _verify(directory)
    repository = Repository(config.to, "dataset", private=config.private)
    _check_there(repository, shards)
    with tempfile.TemporaryDirectory() as scratch, Progress("push", 0, "files") as progress:
        files = _files(directory, shards, config, Path(scratch))
        old = [path for path in repository.others(files) if path.endswith(".tar") or path.startswith(f"{HIDDEN}/")]
        pushed = repository.push(files, f"Shard set {shards.recipe.hash[:16]}", remove=old, progress=_report(progress))
    return {**pushed, "set": f"hf://datasets/{config.to}"}


def _report(progress: Progress) -> Any:
    return lambda done, total: progress.update(done, total=total)


def _verify(directory: Path) -> None:
    with Progress("verify", 0, "shards") as progress:
        report = verify_shard_set(directory, progress=_report(progress))
    if not report.ok:
        first = report.errors[0]
        raise DataError(
            f"{directory} is damaged ({first.shard or 'set'}: {first.error}) and was not pushed; "
            f"`synthcl shards verify {directory}` lists all that is wrong"
        )


def _check_there(repository: Repository, shards: ShardSet) -> None:
    """Raises DataError if the repository holds another set, or tars of someone's."""
    manifest = manifest_path(Path()).as_posix()
    if manifest in repository.files:
        data = repository.read(manifest)
        there = parse_manifest(data[: MAX_MANIFEST_BYTES + 1], f"{repository.url}/{manifest}")
        if there.recipe.hash != shards.recipe.hash:
            raise DataError(
                f"{repository.url} holds another set, of the recipe {there.recipe.hash[:16]}, and this one is of "
                f"{shards.recipe.hash[:16]}: push it to a repository of its own"
            )
        if there.num_samples > shards.locator.manifest.num_samples:
            raise DataError(
                f"{repository.url} holds {there.num_samples:,} samples of this set, and there are only "
                f"{len(shards):,} here: nothing was pushed"
            )
    elif tars := [path for path in repository.files if path.endswith((".tar", ".parquet"))]:
        raise DataError(f"{repository.url} holds other data ({tars[0]}): push the set to a repository of its own")


def _files(directory: Path, shards: ShardSet, config: PushConfig, scratch: Path) -> dict[str, Content]:
    """What is to be in the repository, by path."""
    files: dict[str, Content] = {}
    for shard in shards.locator.manifest.shards:
        files[shard.name] = directory / shard.name
        sidecar = sidecar_path(directory, shard.name)
        files[sidecar.relative_to(directory).as_posix()] = sidecar
    for table in sorted((directory / HIDDEN / TABLES).glob("*.parquet")):
        files[table.relative_to(directory).as_posix()] = table
    files[manifest_path(Path()).as_posix()] = manifest_path(directory)
    card = directory / CARD_FILE
    if card.exists() and not is_own_card(card):
        files[CARD_FILE] = card
        return files
    picture = scratch / "samples.png"
    preview_shards(directory, out=str(picture), num_samples=NUM_SHOWN, **config.images())
    files[PICTURE] = picture
    files[CARD_FILE] = card_text(shards, config.to, licence=config.license, repository=config.to).encode()
    return files
