"""Pushing: all at once, nothing twice, and nothing at all where it fails."""

import pytest

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.hub import pushing
from synthcl.pipeline.hub.pushing import Repository, check_push


@pytest.fixture
def files(tmp_path):
    """One large file on disk and two small ones, one of them in memory."""
    (tmp_path / "a.tar").write_bytes(b"tar" * 1000)
    (tmp_path / "b.json").write_bytes(b"{}")
    return {"a.tar": tmp_path / "a.tar", "sub/b.json": tmp_path / "b.json", "README.md": b"# card"}


def test_all_files_are_there_after_one_commit(hub, files):
    done = []
    result = Repository("me/set", "dataset").push(files, "a set", progress=lambda *numbers: done.append(numbers))
    stored = hub.repositories["dataset", "me/set"]
    assert stored.files == {"a.tar": b"tar" * 1000, "sub/b.json": b"{}", "README.md": b"# card"}
    assert len(stored.commits) == 2 and result["uploaded"] == 3 and result["commit"]
    assert result["url"] == f"{hub.url}/datasets/me/set" and done == [(0, 3), (3, 3)]


def test_what_is_there_is_not_sent_again_and_what_is_to_go_goes(hub, files):
    Repository("me/set", "dataset").push(files, "a set")
    again = Repository("me/set", "dataset").push(files, "again")
    assert again["commit"] is None and again["uploaded"] == 0 and len(hub.uploads) == 1
    del files["sub/b.json"]
    changed = {**files, "README.md": b"# another"}
    result = Repository("me/set", "dataset").push(changed, "changed", remove=["sub/b.json", "never.tar"])
    assert (result["uploaded"], result["removed"]) == (1, 1)
    assert hub.repositories["dataset", "me/set"].files == {"a.tar": b"tar" * 1000, "README.md": b"# another"}
    assert len(hub.uploads) == 1


def test_large_files_are_not_read_for_the_checksum_of_small_ones(hub, files, monkeypatch):
    Repository("me/set", "dataset").push(files, "a set")
    read, real = [], pushing._git_hash
    monkeypatch.setattr(pushing, "_git_hash", lambda addition: (read.append(addition.path_in_repo), real(addition))[1])
    assert Repository("me/set", "dataset").push(files, "again")["uploaded"] == 0
    assert sorted(read) == ["README.md", "sub/b.json"]


@pytest.mark.parametrize(("part", "status"), [("/commit/", 400), ("/upload/", 400), ("/preupload/", 403)])
def test_a_push_that_fails_changes_nothing_and_the_next_goes_on(hub, files, part, status):
    repository = Repository("me/set", "dataset")
    hub.fail(part, status)
    with pytest.raises(DataError, match="cannot push to me/set"):
        repository.push(files, "a set")
    assert hub.repositories["dataset", "me/set"].files == {}
    Repository("me/set", "dataset").push(files, "a set")
    assert set(hub.repositories["dataset", "me/set"].files) == set(files) and len(hub.uploads) == 1


@pytest.mark.parametrize("part", ["/upload/", "/preupload/"])
def test_a_moment_of_trouble_is_waited_out(hub, files, part, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    hub.fail(part, 503)
    Repository("me/set", "dataset").push(files, "a set")
    assert set(hub.repositories["dataset", "me/set"].files) == set(files)


def test_many_files_go_in_parts(hub, monkeypatch):
    monkeypatch.setattr(pushing, "AT_ONCE", 2)
    done = []
    files = {f"{i}.tar": b"%d" % i for i in range(5)}
    Repository("me/set", "dataset").push(files, "a set", progress=lambda *numbers: done.append(numbers))
    assert done == [(0, 5), (2, 5), (4, 5), (5, 5)] and len(hub.repositories["dataset", "me/set"].commits) == 2


@pytest.mark.parametrize("private", [True, False])
def test_a_new_repository_is_private_where_asked(hub, private):
    Repository("me/set", "model", private=private)
    assert hub.repositories["model", "me/set"].private is private


def test_a_file_that_is_not_there_is_named(hub, tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*none\.tar"):
        Repository("me/set", "dataset").push({"none.tar": tmp_path / "none.tar"}, "a set")


def test_no_token_is_a_sentence_and_asks_nothing(hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/none")
    with pytest.raises(DataError, match="there is no token of the Hugging Face hub here; run `hf auth login`"):
        check_push("me/set")
    with pytest.raises(DataError, match="no token"):
        Repository("me/set", "dataset")
    assert not hub.repositories


@pytest.mark.parametrize(("name", "message"), [("set", "give USER/NAME"), ("me/a--b", "--"), ("me/a.git", "git")])
def test_a_name_that_the_hub_does_not_take_is_refused(hub, name, message):
    with pytest.raises(UsageError, match=message):
        check_push(name)
