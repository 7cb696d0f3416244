"""The layout of a set: plain USTAR tars, nothing visible beside them."""

import tarfile

import pytest

from synthcl.pipeline.shards.layout import end_marker, num_shards, shard_samples


def test_layout_is_plain_ustar(make_set) -> None:
    path = make_set(num_samples=50, samples_per_shard=20)
    assert sorted(p.name for p in path.iterdir()) == [".synthcl", "000000.tar", "000001.tar", "000002.tar"]
    hidden = ["000000.parquet", "000001.parquet", "000002.parquet", "shardset.json"]
    assert sorted(p.name for p in (path / ".synthcl").iterdir()) == hidden
    names = []
    for tar in sorted(path.glob("*.tar")):
        with tarfile.open(tar, "r:") as file:
            assert file.format == tarfile.USTAR_FORMAT or file.pax_headers == {}
            for member in file:
                assert (member.mtime, member.uid, member.gid, member.mode, member.type) == (0, 0, 0, 0o644, b"0")
                assert member.offset_data - member.offset == 512  # no extended headers
                names.append(member.name)
        assert tar.stat().st_size % 10_240 == 0
    assert names == [f"{i:010d}.png" for i in range(50)]


@pytest.mark.parametrize(("samples", "per_shard"), [(1, 1), (1, 5), (5, 5), (6, 5), (23, 5)])
def test_shards_divide_the_samples(samples: int, per_shard: int) -> None:
    shards = [shard_samples(number, samples, per_shard) for number in range(num_shards(samples, per_shard))]
    assert [sample for shard in shards for sample in shard] == list(range(samples))
    assert all(len(shard) == per_shard for shard in shards[:-1]) and 1 <= len(shards[-1]) <= per_shard


@pytest.mark.parametrize("length", [0, 512, 9_216, 9_728, 10_240])
def test_the_end_of_a_tar_is_two_blocks_up_to_a_record(length: int) -> None:
    end = end_marker(length)
    assert 1024 <= len(end) < 1024 + 10_240 and (length + len(end)) % 10_240 == 0 and not any(end)
