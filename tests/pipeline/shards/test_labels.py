"""What samples were drawn for: columns of the sidecars, and members beside the images."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.shards import open_shard_set, open_shard_store, write_shard_set
from synthcl.pipeline.shards.layout import MANIFEST, manifest_path
from synthcl.pipeline.shards.manifest import read_manifest
from synthcl.pipeline.shards.verify import verify_shard_set
from synthcl.pipeline.shards.writing.adopt import index_shards

PROMPTS = ["a cat", "ein Hund, größer", "鳥"]


def describe(indices: np.ndarray) -> dict[str, list]:
    return {
        "class": (indices % 4).tolist(),
        "prompt": [PROMPTS[i % 3] for i in indices],
        "guidance": [7.5] * len(indices),
    }


@pytest.fixture
def labelled(make_set) -> Path:
    return make_set(images_per_sample=2, describe=describe, labels=("cls", "txt"))


def test_they_are_columns_to_read_and_to_select_by(labelled):
    shards = open_shard_set(labelled)
    assert shards.table(columns=["class", "prompt", "guidance"]).to_pydict() == describe(np.arange(50))
    threes = open_shard_set(labelled, where="class = 3 and prompt like '%Hund%'")
    assert threes.sample_indices(np.arange(len(threes))).tolist() == [7, 19, 31, 43]


def test_classes_are_the_labels_of_the_set_as_images(make_set):
    path = make_set(describe=lambda indices: {"class": (indices % 4).tolist()})
    store = open_shard_store(path)
    assert store.labels.tolist() == [i % 4 for i in range(50)] and store.class_names is None


def test_members_hold_the_text_and_stand_after_the_images(labelled):
    with tarfile.open(labelled / "000001.tar") as tar:
        names = tar.getnames()
        contents = [tar.extractfile(f"0000000021.{name}").read().decode() for name in ("cls", "txt")]
    key = "0000000020"
    assert names[:4] == [f"{key}.view0.png", f"{key}.view1.png", f"{key}.cls", f"{key}.txt"]
    assert contents == ["1", PROMPTS[0]]
    assert verify_shard_set(labelled, decode=True).ok


@pytest.mark.parametrize("num_processes", [1, 3])
@pytest.mark.parametrize("batch_size", [7, 256])
def test_the_bytes_depend_on_the_recipe_alone(labelled, tmp_path, render, digest, num_processes, batch_size):
    for index in range(num_processes):
        write_shard_set(
            tmp_path / "again",
            {"seed": 3, "weights": "abc"},
            50,
            20,
            lambda indices: render(indices, 2),
            images_per_sample=2,
            describe=describe,
            labels=("cls", "txt"),
            process_index=index,
            num_processes=num_processes,
            batch_size=batch_size,
            workers=1,
        )
    found, wanted = digest(tmp_path / "again"), digest(labelled)
    # The manifest notes the batch size.
    assert (found.pop(MANIFEST) == wanted.pop(MANIFEST)) == (batch_size == 256) and found == wanted


def test_a_set_without_them_is_written_as_before(make_set):
    manifest = json.loads(manifest_path(make_set()).read_text())
    assert manifest["version"] == 1 and "labels" not in manifest
    assert not {"columns", "labels"} & set(manifest["recipe"])


def test_a_set_with_members_says_so_by_its_version(labelled):
    manifest = json.loads(manifest_path(labelled).read_text())
    assert manifest["version"] == 2 and manifest["labels"] == ["cls", "txt"]
    assert read_manifest(labelled).labels == ("cls", "txt")


def test_a_set_is_not_continued_with_other_columns(make_set):
    make_set(num_samples=30)
    with pytest.raises(UsageError, match=r'columns: nothing there, \["class", "prompt", "guidance"\] now'):
        make_set(num_samples=60, describe=describe)


def test_labels_of_what_is_not_described_are_refused(make_set):
    with pytest.raises(UsageError, match=r"no prompt to write as KEY\.txt"):
        make_set(describe=lambda indices: {"class": [0] * len(indices)}, labels=("txt",))


@pytest.mark.parametrize("number", [0, 65])
def test_a_number_of_images_out_of_range_is_refused(make_set, number):
    with pytest.raises(UsageError, match=f"--images-per-sample must be 1 to 64, not {number}"):
        make_set(images_per_sample=number)


def test_a_changed_member_is_found(labelled):
    tar = labelled / "000000.tar"
    data = bytearray(tar.read_bytes())
    place = data.index(PROMPTS[0].encode())
    data[place] ^= 1
    tar.write_bytes(data)
    report = verify_shard_set(labelled)
    assert [problem.key for problem in report.errors] == ["0000000000"] and "checksum" in report.errors[0].error


def test_lost_sidecars_are_not_made_again_without_what_they_held(labelled):
    shutil.rmtree(labelled / ".synthcl" / "tables", ignore_errors=True)
    (labelled / ".synthcl" / "000000.parquet").unlink()
    with pytest.raises(DataError, match="had class, prompt, guidance of its samples in its sidecars alone"):
        index_shards(labelled)


def test_its_tars_are_adopted_with_their_classes(labelled, tmp_path):
    folder = tmp_path / "adopted"
    folder.mkdir()
    for tar in labelled.glob("*.tar"):
        shutil.copy(tar, folder)
    index_shards(folder)
    store = open_shard_store(folder)
    assert store.labels.tolist() == [i % 4 for i in range(50)] and store.shards.views_per_sample == 2
