"""Pushing files to the Hugging Face hub: large ones first, then one commit that makes all of them be there at once.

What was uploaded before an interruption is not uploaded again: the hub knows files by their checksum.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars, validate_repo_id

from ..errors import DataError, UsageError
from .client import hub_errors
from .locations import check_repository

AT_ONCE = 16
"""Files between two reports of progress. Ours."""
_GIT_DIGITS = 40
"""Of git's checksum of a file, a SHA-1; a SHA-256 has 64."""
_REPOSITORY_OWN = (".gitattributes",)

Content = Path | bytes
"""A file here, or what a file is to hold."""


def check_push(repository: str) -> None:
    """Check, without the network, that a push can be begun: before hours of work that it is to end.

    Raises:
        UsageError: the name is no USER/NAME.
        DataError: there is no token.
    """
    check_repository(repository)
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UsageError(str(error)) from None
    if not get_token():
        raise DataError(
            f"cannot push to {repository}: there is no token of the Hugging Face hub here; run `hf auth login`, or set "
            "HF_TOKEN to one that may write"
        )


class Repository:
    """A repository of the hub that is pushed to; made there by the first push if it does not exist.

    Args:
        name: USER/NAME.
        kind: `dataset` or `model`.
        private: whether a new one is for its owner alone.

    Raises:
        UsageError, DataError: as `check_push`; or the hub refuses, or cannot be reached.
    """

    def __init__(self, name: str, kind: str, *, private: bool = False) -> None:
        check_push(name)
        self.name, self.kind = name, kind
        self._api = HfApi()
        with hub_errors("cannot push to", name):
            self.url = str(self._api.create_repo(name, repo_type=kind, private=private, exist_ok=True))
            self.files = self._listed()

    def _listed(self) -> dict[str, str]:
        """The files there, by path: their checksum, the SHA-256 of large ones and git's own of others."""
        tree = self._api.list_repo_tree(self.name, repo_type=self.kind, recursive=True)
        files = [entry for entry in tree if isinstance(entry, RepoFile)]
        return {file.path: file.lfs.sha256 if file.lfs else file.blob_id for file in files}

    def read(self, path: str) -> bytes:
        """A file there. Raises DataError if it cannot be read."""
        with hub_errors("cannot read from", self.name):
            return Path(self._api.hf_hub_download(self.name, path, repo_type=self.kind)).read_bytes()

    def push(
        self,
        files: Mapping[str, Content],
        message: str,
        *,
        remove: Iterable[str] = (),
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> dict[str, Any]:
        """Make `files` be there, in one commit; what is there as it is to be is left as it is.

        Args:
            files: contents by path in the repository.
            message: of the commit.
            remove: paths that are to be there no longer.
            progress: called with the number of files uploaded, and of all.

        Returns:
            `repository`, `url`, `commit` (None where nothing had to change), `uploaded`, how many files, and `removed`.

        Raises:
            DataError: the hub refuses or cannot be reached, or a file here cannot be read. Nothing is changed there.
        """
        disable_progress_bars()  # a command has its own
        gone = sorted(set(remove) & self.files.keys() - files.keys())
        with hub_errors("cannot push to", self.name):
            wanted = [_addition(path, content) for path, content in files.items()]
            new = [addition for addition in wanted if not self._is_there(addition)]
            for first in range(0, len(new), AT_ONCE):
                progress(first, len(new))
                self._api.preupload_lfs_files(
                    self.name, new[first : first + AT_ONCE], repo_type=self.kind, free_memory=False
                )
            progress(len(new), len(new))
            commit = None
            if new or gone:
                made = self._api.create_commit(
                    self.name,
                    [*new, *(CommitOperationDelete(path) for path in gone)],
                    commit_message=message,
                    repo_type=self.kind,
                )
                commit = made.oid
        return {
            "repository": self.name,
            "url": self.url,
            "commit": commit,
            "uploaded": len(new),
            "removed": len(gone),
        }

    def _is_there(self, addition: CommitOperationAdd) -> bool:
        there = self.files.get(addition.path_in_repo)
        if there is None:
            return False
        # Files are read for git's checksum only where the hub has that one, which it has of small files.
        digest = _git_hash(addition) if len(there) == _GIT_DIGITS else addition.upload_info.sha256.hex()
        return there == digest

    def others(self, files: Iterable[str]) -> list[str]:
        """What is there besides `files` and what every repository has."""
        return sorted(self.files.keys() - set(files) - set(_REPOSITORY_OWN))


def _git_hash(addition: CommitOperationAdd) -> str:
    """By which git knows a file."""
    with addition.as_file() as file:
        digest = hashlib.sha1(b"blob %d\0" % addition.upload_info.size, usedforsecurity=False)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _addition(path: str, content: Content) -> CommitOperationAdd:
    try:
        return CommitOperationAdd(path, content if isinstance(content, bytes) else os.fspath(content))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {content!s}: {error}") from None
