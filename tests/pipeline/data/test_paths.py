"""Image files by name."""

from pathlib import Path

import pytest

from synthcl.pipeline.data.paths import IMAGE_EXTENSIONS, find_images, relative_names


def test_images_are_found_by_their_extension_in_order_without_hidden_ones(tmp_path):
    wanted = ["b.PNG", "b/a.jpg", "b/c/z.webp", "a.tiff"]
    others = ["notes.txt", ".x.png", "b/.hidden/y.png", "png", "a.png.txt"]
    for name in (*wanted, *others):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_images(tmp_path / "in") == sorted(tmp_path / "in" / name for name in wanted)
    assert find_images(tmp_path / "nowhere") == []


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    for name in ("in/b/1.png", "elsewhere/deep/far.png", "elsewhere/other/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    links = {
        "in/a": "elsewhere/deep",
        "in/c": "elsewhere/deep",  # a folder may have two names
        "in/d.png": "elsewhere/other/2.png",
        "in/b/itself": "in/b",
        "in/b/above": ".",
        "elsewhere/deep/back": "in",  # by the link a
        "elsewhere/deep/up": "elsewhere",
    }
    for link, target in links.items():
        (tmp_path / link).symlink_to(tmp_path / target)
    found = [str(path.relative_to(tmp_path / "in")) for path in find_images(tmp_path / "in")]
    assert found == ["a/far.png", "b/1.png", "c/far.png", "d.png"]


@pytest.mark.parametrize("extension", IMAGE_EXTENSIONS)
def test_each_extension_is_one_of_images(tmp_path, extension):
    (tmp_path / f"a{extension}").touch()
    assert [path.suffix for path in find_images(tmp_path)] == [extension]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/b/x.png", "/a/b/y.png"], ["x.png", "y.png"]),
        (["/a/b/x.png", "/a/c/x.png"], ["b/x.png", "c/x.png"]),
        (["/a/x.png", "/a/b/x.png"], ["x.png", "b/x.png"]),
        (["x.png"], ["x.png"]),
        (["a/../b/x.png", "./b/y.png"], ["x.png", "y.png"]),
        ([], []),
    ],
)
def test_names_are_short_and_tell_the_files_apart(paths, names):
    assert relative_names([Path(path) for path in paths]) == names
