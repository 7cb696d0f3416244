"""Folders that other packages open: found by a file in them, registered once."""

import subprocess
import sys

import pytest

from synthcl.pipeline.data.folder_openers import find_folder_opener, register_folder_opener


def test_a_kind_of_folder_is_registered_once(tmp_path):
    with pytest.raises(ValueError, match=r"folders with \.synthcl/shardset\.json have an opener already"):
        register_folder_opener(".synthcl/shardset.json", lambda folder, image_size: None)
    assert find_folder_opener(tmp_path) is None


def test_the_folder_of_a_set_has_an_opener(make_set):
    store = find_folder_opener(make_set())(make_set(), 8)
    assert len(store) == 50 and store.image_size == 8


def test_registering_imports_neither_torch_nor_numpy():
    code = "import sys, synthcl.pipeline; assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
