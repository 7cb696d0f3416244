"""Image files by name."""

from pathlib import Path

import pytest

from synthcl.pipeline.data.paths import IMAGE_EXTENSIONS, find_images, relative_names


def test_images_are_found_by_their_extension_in_order_without_hidden_ones_or_links(tmp_path):
    wanted = ["b.PNG", "b/a.jpg", "b/c/z.webp", "a.tiff"]
    others = ["notes.txt", ".x.png", "b/.hidden/y.png", "png", "a.png.txt"]
    for name in (*wanted, *others):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.png").touch()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    assert find_images(tmp_path / "in") == sorted(tmp_path / "in" / name for name in wanted)
    assert find_images(tmp_path / "nowhere") == []


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
