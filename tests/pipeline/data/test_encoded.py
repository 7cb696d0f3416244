"""What stores of encoded images share: one size, and images that cannot be read named."""

import pytest

from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import DataError


def test_sizes_that_differ(tmp_path, save):
    save(tmp_path / "a.png", size=16)
    save(tmp_path / "b.png", size=20)
    words = r"differ in size \(.*a.png is 16 x 16 pixels, .*b.png is 20 x 20\): pass --image-size"
    with pytest.raises(DataError, match=words):
        open_images(str(tmp_path))
    assert open_images(str(tmp_path), image_size=8).read([0, 1]).shape == (2, 3, 8, 8)


def test_a_size_that_differs_beyond_the_first_look(tmp_path, save):
    for i in range(100):
        save(tmp_path / f"{i:03d}.png", size=17 if i == 50 else 16)
    store = open_images(str(tmp_path))
    with pytest.raises(DataError, match=r"050.png is 17 x 17 .* --image-size"):
        store.read([50])
    with pytest.raises(DataError, match=r"050.png is 17 x 17 .* --image-size"):
        store.read([49, 50])


def test_images_that_are_not_square(tmp_path, picture):
    picture(0, 20, 10).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"not square \(20 x 10 pixels\): pass --image-size"):
        open_images(str(tmp_path))
    assert open_images(str(tmp_path), image_size=10).read([0]).shape == (1, 3, 10, 10)


def test_bad_files_are_named(tmp_path, save):
    for i in range(3):
        save(tmp_path / f"{i}.jpg", i)
    whole = (tmp_path / "1.jpg").read_bytes()
    (tmp_path / "1.jpg").write_bytes(whole[:-40])
    with pytest.raises(DataError, match=r"cannot read .*1.jpg: it is truncated or damaged"):
        open_images(str(tmp_path)).read([0, 1, 2])
    (tmp_path / "1.jpg").write_text("hello")
    with pytest.raises(DataError, match=r"cannot read .*1.jpg: it is no image"):
        open_images(str(tmp_path))
    (tmp_path / "1.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot read .*1.jpg"):
        open_images(str(tmp_path))


def test_a_file_that_goes_away(tmp_path, save):
    path = save(tmp_path / "a.png")
    store = open_images(str(tmp_path))
    path.unlink()
    with pytest.raises(DataError, match=r"cannot read .*a.png: No such file"):
        store.read([0])
