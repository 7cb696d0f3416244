"""A pretrained generator on the hub: all of it, a true card, and taken up from there."""

import pytest
import yaml

from synthcl.generators import load_generator
from synthcl.generators.fingerprint import fingerprint
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.generation.generate import generate
from synthcl.pipeline.generation.locating import locate_generator
from synthcl.pipeline.training import pretrain as pretraining
from synthcl.pipeline.training.pretrain import pretrain
from synthcl.pipeline.training.train import train

TINY = {"data": "digits[:32]", "image_size": 8, "preset": "tiny", "batch_size": 4, "steps": 2, "sample_every": 1}


@pytest.fixture
def run(tmp_path):
    return str(tmp_path / "run")


def test_the_generator_is_pushed_when_it_is_trained_and_used_from_there(hub, run, tmp_path):
    result = pretrain(**TINY, out=run, push="me/gan", license="mit")
    files = hub.repositories["model", "me/gan"].files
    folder = tmp_path / "run" / "generator"
    wanted = {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    assert {name: files[name] for name in wanted} == wanted
    assert set(files) - set(wanted) == {"README.md", "samples.png"}
    assert files["samples.png"] == (tmp_path / "run" / "samples" / "00000002.png").read_bytes()
    card = files["README.md"].decode()
    assert yaml.safe_load(card.split("---")[1])["license"] == "mit"
    assert result["generator_hash"] in card and "--generator hf://me/gan" in card and "--data 'digits[:32]'" in card
    assert "--push" not in card and result["push"]["generator"] == "hf://me/gan"

    assert fingerprint(load_generator(locate_generator("hf://me/gan"))) == result["generator_hash"]
    info = generate(generator="hf://me/gan", num_samples=4, out=str(tmp_path / "set"))
    assert info["num_samples"] == 4
    trained = train(
        data="digits[:32]", online=True, generator="hf://me/gan", backbone="resnet10-w8", image_size=8, batch_size=8,
        steps=1, out=str(tmp_path / "joint"),
    )  # fmt: skip
    assert trained["steps"] == 1


def test_a_finished_run_is_pushed_by_the_same_command(hub, run, monkeypatch):
    first = pretrain(**TINY, out=run)
    monkeypatch.setattr(pretraining, "create_accelerator", lambda *_: pytest.fail("it trains again"))
    result = pretrain(**TINY, out=run, push="me/gan")
    assert {**first, "push": result["push"]} == result and result["push"]["uploaded"] > 3
    assert pretrain(**TINY, out=run, push="me/gan")["push"]["commit"] is None


def test_what_fails_there_leaves_the_run_finished(hub, run):
    hub.fail("/commit/", 400)
    with pytest.raises(DataError, match="cannot push to me/gan"):
        pretrain(**TINY, out=run, push="me/gan")
    assert pretrain(**TINY, out=run, push="me/gan")["push"]["uploaded"] > 3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [({"push": "gan"}, UsageError, "give USER/NAME"), ({"push": "me/gan"}, DataError, "no token")],
)
def test_it_is_said_before_anything_is_trained(hub, run, tmp_path, monkeypatch, options, error, message):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(error, match=message):
        pretrain(**TINY, out=run, **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [{"private": True}, {"license": "mit"}])
def test_what_a_push_alone_takes_is_refused_without_one(run, options):
    with pytest.raises(UsageError, match="--push"):
        pretrain(**TINY, out=run, **options)


def test_code_and_pickles_of_a_repository_are_refused(hub, tmp_path):
    hub.put("model", "me/odd", {"pytorch_model.bin": b"x", "model.py": b"raise SystemExit"})
    with pytest.raises(DataError, match="neither code nor pickles"):
        generate(generator="hf://me/odd", num_samples=4, out=str(tmp_path / "set"))
    assert hub.fetched == [] and not (tmp_path / "set").exists()
