"""Files are there whole or not at all, and what was there before stays until then."""

import hashlib
import json
import math
import subprocess
import sys

import pytest

from synthcl.pipeline import files
from synthcl.pipeline.errors import DataError
from synthcl.pipeline.files import (
    TEMPORARY,
    file_sha256,
    read_json,
    remove_temporary,
    write_file,
    write_folder,
    write_json,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("data", ["text é\n", b"\x00\xff"])
def test_a_file_takes_the_place_of_an_earlier_one(tmp_path, data):
    path = tmp_path / "x"
    path.write_text("earlier")
    write_file(path, data)
    assert path.read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_failure_leaves_the_earlier_file_and_nothing_else(tmp_path, monkeypatch, where):
    path = tmp_path / "x"
    path.write_text("earlier")

    def fails(*args):
        raise OSError("no space left")

    monkeypatch.setattr(files.os, where, fails)
    with pytest.raises(OSError, match="no space left"):
        write_file(path, "new")
    assert path.read_text() == "earlier" and names(tmp_path) == ["x"]


def test_it_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(files.os, name)
        monkeypatch.setattr(files.os, name, lambda *args, name=name, real=real: done.append(name) or real(*args))
    write_file(tmp_path / "x", "new")
    assert done == ["fsync", "replace", "fsync"]  # the file, its name, the folder that has it


def test_json_reads_back(tmp_path):
    value = {"a": [1, 2.5, None], "path": tmp_path}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json", "") == {"a": [1, 2.5, None], "path": str(tmp_path)}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": math.nan})
    assert json.loads((tmp_path / "x.json").read_text())["a"] == [1, 2.5, None]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot read .*x.json: No such file"), ("{", "is damaged .*: remove it"), ("[1]", "holds no JSON object")],
)
def test_what_is_no_json_object_is_named_with_what_to_do(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=message) as error:
        read_json(tmp_path / "x.json", "remove it")
    assert str(tmp_path / "x.json") in str(error.value)


def fill(*contents):
    def write(folder):
        (folder / "deep").mkdir()
        for number, content in enumerate(contents):
            if content is None:
                raise OSError("no space left")
            (folder / "deep" / f"{number}").write_text(content)

    return write


def test_a_folder_takes_the_place_of_an_earlier_one(tmp_path):
    write_folder(tmp_path / "x", fill("a", "b"))
    write_folder(tmp_path / "x", fill("c"))
    assert names(tmp_path) == ["x"] and names(tmp_path / "x" / "deep") == ["0"]
    assert (tmp_path / "x" / "deep" / "0").read_text() == "c"


def test_a_folder_that_fails_leaves_the_earlier_one(tmp_path):
    write_folder(tmp_path / "x", fill("a"))
    with pytest.raises(OSError, match="no space left"):
        write_folder(tmp_path / "x", fill("b", None))
    assert names(tmp_path) == ["x"] and (tmp_path / "x" / "deep" / "0").read_text() == "a"


def test_a_folder_that_cannot_take_its_name_leaves_the_earlier_one(tmp_path, monkeypatch):
    write_folder(tmp_path / "x", fill("a"))

    def fails(*args):
        raise OSError("busy")

    monkeypatch.setattr(files.os, "replace", fails)
    with pytest.raises(OSError, match="busy"):
        write_folder(tmp_path / "x", fill("b"))
    assert names(tmp_path) == ["x"] and (tmp_path / "x" / "deep" / "0").read_text() == "a"


def test_a_folder_behind_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "link").symlink_to("x")
    for content in ("a", "b"):
        write_folder(tmp_path / "link", fill(content))
        assert (tmp_path / "x" / "deep" / "0").read_text() == content
    assert names(tmp_path) == ["link", "x"] and (tmp_path / "link").is_symlink()


KILLED = """
import os
from pathlib import Path
from synthcl.pipeline import files

def killed(*args, **options):
    os._exit(9)

{patch}
files.write_folder(Path("x"), lambda folder: (folder / "name").write_text("new"))
"""
KILLS = {
    "while it is filled": ("files._sync = killed", "earlier"),
    "before the earlier one is renamed": ("os.rename = killed", "earlier"),
    "between the renames": ("os.replace = killed", None),
    "before the earlier one is removed": ("files.shutil.rmtree = killed", "new"),
}


@pytest.mark.parametrize("repair", ["remove_temporary", "write_folder"])
@pytest.mark.parametrize("when", KILLS)
def test_a_kill_at_any_point_leaves_the_earlier_folder_or_the_new_one(tmp_path, when, repair):
    patch, left = KILLS[when]
    for name in ("x", "x-12345678"):
        write_folder(tmp_path / name, lambda folder: (folder / "name").write_text("earlier"))
    assert subprocess.run([sys.executable, "-c", KILLED.format(patch=patch)], cwd=tmp_path).returncode == 9
    there = tmp_path / "x" / "name"
    assert (there.read_text() if there.exists() else None) == left
    found = []
    if repair == "remove_temporary":
        remove_temporary(tmp_path)
        found.append(there.read_text())
        assert names(tmp_path) == ["x", "x-12345678"]
    else:  # what is to stay of the earlier folder can be copied
        write_folder(tmp_path / "x", lambda folder: found.append(there.read_text()))
        assert names(tmp_path / "x") == [] and not list(tmp_path.glob(".old-*"))
    assert found == [left or "earlier"]


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / f"{TEMPORARY}x-1234").write_text("half")
    (tmp_path / f"{TEMPORARY}y-5678" / "deep").mkdir(parents=True)
    (tmp_path / "x").write_text("whole")
    remove_temporary(tmp_path)
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("size", [0, 5, (1 << 20) + 3])
def test_the_checksum_of_a_file(tmp_path, size):
    (tmp_path / "x").write_bytes(b"7" * size)
    assert file_sha256(tmp_path / "x") == hashlib.sha256(b"7" * size).hexdigest()
