"""Where the files of a tar lie: as tarfile says, and every kind of damage refused."""

import io
import tarfile

import pytest

from synthcl.pipeline.data import open_images
from synthcl.pipeline.data.tarindex import BLOCK, index_tar
from synthcl.pipeline.errors import DataError


def test_a_tar_cut_anywhere_is_refused(tmp_path, members, write_tar):
    whole = write_tar(tmp_path / "a.tar", members(0, 5)).read_bytes()
    path = tmp_path / "cut.tar"
    end = max(m.offset + m.size for m in index_tar(tmp_path / "a.tar"))
    for length in [0, 100, BLOCK, BLOCK + 7, end // 2, end // 2 // BLOCK * BLOCK, end - 1, -(-end // BLOCK) * BLOCK]:
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.tar.*(cut short|empty)"):
            open_images(str(path))


def test_damaged_headers_are_refused(tmp_path, members, write_tar):
    whole = bytearray(write_tar(tmp_path / "a.tar", members(0, 3)).read_bytes())
    second = index_tar(tmp_path / "a.tar")[1].offset - BLOCK

    def refuse(change, words):
        data = bytearray(whole)
        change(memoryview(data)[second : second + BLOCK])
        (tmp_path / "b.tar").write_bytes(data)
        with pytest.raises(DataError, match=words):
            open_images(str(tmp_path / "b.tar"))

    def sum_up(header):
        header[148:156] = b" " * 8
        header[148:156] = f"{sum(header):06o}\0 ".encode()

    def set_size(field):
        def change(header):
            header[124:136] = field
            sum_up(header)

        return change

    def flip(header):
        header[0] ^= 1

    refuse(flip, r"member 1 of .* \(at byte \d+\) is damaged \(wrong checksum\)")
    refuse(set_size(b"\xff" * 12), "damaged .size")  # -1 in base 256: tarfile would go back and forth for ever
    refuse(set_size(b"-0000000512\0"), "damaged .size")
    refuse(set_size(b"\x80" + b"\x7f" * 11), "cut short")
    refuse(set_size(b"77777777777\0"), "cut short")


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_float_times(tmp_path, kind):
    folder = "d" * 90 if kind == tarfile.USTAR_FORMAT else "d" * 200
    with tarfile.open(tmp_path / "a.tar", "w", format=kind) as tar:
        for name in (f"{folder}/one.jpg", "short.jpg", f"{folder}/zweiß.jpg"):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = 5, 1.5
            tar.addfile(info, io.BytesIO(b"12345"))
    with tarfile.open(tmp_path / "a.tar") as tar:
        expected = [(m.name, m.offset_data, m.size) for m in tar]
    assert index_tar(tmp_path / "a.tar") == expected


def test_links_and_folders_are_passed_over(tmp_path, members):
    (name, data), *_ = members(0, 1).items()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo(f"link{kind.decode()}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    assert open_images(str(tmp_path / "a.tar")).keys([0]) == ["s000"]
