"""`synthcl generate` for classes and for prompts, as users call it."""

from __future__ import annotations

import gc
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

from synthcl.pipeline.shards import open_shard_set


@pytest.fixture(scope="module")
def pipelines(build_pipeline, tmp_path_factory):
    """Folders of a class-conditional and of a text-to-image pipeline."""
    folder = tmp_path_factory.mktemp("pipelines")
    build_pipeline("DiTPipeline", num_embeds_ada_norm=10).save_pretrained(folder / "DiTPipeline")
    build_pipeline("StableDiffusionPipeline").save_pretrained(folder / "StableDiffusionPipeline")
    build_pipeline("DDIMPipeline", num_class_embeds=6).save_pretrained(folder / "DDIMPipeline")
    return folder


@pytest.fixture
def prompts(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("a red cat\nblue dog 7\n\n7 cats\n")
    return file


FEW = ("--num-samples", 10, "--samples-per-shard", 4, "--sampling-steps", 2, "--workers", 0)


def columns(folder, *names):
    return open_shard_set(folder).table(columns=list(names)).to_pydict()


def test_classes_are_drawn_and_kept(synthcl, pipelines, tmp_path):
    out = tmp_path / "set"
    chosen = ("--classes", "2-4", "--classes", 7, "--guidance-scale", 2)
    synthcl("generate", "--generator", pipelines / "DiTPipeline", *FEW, *chosen, "--write-labels", "--out", out)
    found = columns(out, "class", "guidance")
    assert set(found["class"]) <= {2, 3, 4, 7} and len(set(found["class"])) > 1 and set(found["guidance"]) == {2.0}
    some = open_shard_set(out, where=f"class = {found['class'][0]}")
    assert len(some) == found["class"].count(found["class"][0])
    synthcl("shards", "verify", out)
    synthcl("shards", "card", out)
    assert "The class of each is what it was drawn for" in (out / "README.md").read_text()


def test_a_unet_of_classes_draws_those_asked_for(synthcl, pipelines, tmp_path):
    for name, chosen in (("some", ("--classes", 1, "--classes", 4)), ("all", ())):
        synthcl("generate", "--generator", pipelines / "DDIMPipeline", *FEW, *chosen, "--out", tmp_path / name)
    assert set(columns(tmp_path / "some", "class")["class"]) == {1, 4}
    assert len(set(columns(tmp_path / "all", "class")["class"])) > 2
    assert "guidance" not in open_shard_set(tmp_path / "some").table().column_names


@pytest.fixture(scope="module")
def labelled(synthcl, pipelines, tmp_path_factory):
    """Makes sets with labels in the tars, by command and once each: (folder, extension and column of the labels)."""
    folder, made = tmp_path_factory.mktemp("labelled"), {}
    prompts = folder / "prompts.txt"
    prompts.write_text("a red cat\nun cœur français 7\n7 cats\n", encoding="utf-8")
    text = ("--generator", pipelines / "StableDiffusionPipeline", "--prompts", prompts)
    given = {
        "classes": ("--generator", pipelines / "DiTPipeline", "--classes", "2-4"),
        "prompts": text,
        "prompts-in-pairs": (*text, "--images-per-sample", 2),
    }

    def make(name):
        if name not in made:
            synthcl("generate", *given[name], *FEW, "--write-labels", "--out", folder / name)
            made[name] = folder / name
        return made[name], *(("cls", "class") if name == "classes" else ("txt", "prompt"))

    return make


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves files to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["classes", "prompts", "prompts-in-pairs"])
def test_other_readers_find_the_labels_of_the_sidecars(labelled, tmp_path, monkeypatch, name):
    """tarfile, webdataset and Hugging Face's datasets, unchanged."""
    out, extension, column = labelled(name)
    table = columns(out, "key", column)
    wanted = dict(zip(table["key"], table[column], strict=True))
    assert len(wanted) == 10 and len(set(wanted.values())) > 1
    images = open_shard_set(out).read_views(range(10)).numpy().transpose(0, 1, 3, 4, 2)  # (N, V, H, W, C)
    kinds = ["png"] if name != "prompts-in-pairs" else ["view0.png", "view1.png"]
    assert images.shape[1] == len(kinds)

    files = {}
    for tar in sorted(out.glob("*.tar")):
        with tarfile.open(tar) as opened:
            files |= {member.name: opened.extractfile(member).read() for member in opened}
    labels = {each.split(".")[0]: data.decode() for each, data in files.items() if each.endswith(f".{extension}")}
    assert labels == {key: str(value) for key, value in wanted.items()}
    assert len(files) == 10 * (len(kinds) + 1)

    tars = [str(tar) for tar in sorted(out.glob("*.tar"))]
    samples = list(webdataset.WebDataset(tars, shardshuffle=False).decode("rgb8"))
    assert [(sample["__key__"], sample[extension]) for sample in samples] == list(wanted.items())
    assert all((sample[kind] == images[i, v]).all() for i, sample in enumerate(samples) for v, kind in enumerate(kinds))

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    import datasets

    datasets.disable_progress_bars()
    data = datasets.load_dataset("webdataset", split="train", data_dir=str(out), cache_dir=str(tmp_path / "cache"))
    assert dict(zip(data["__key__"], data[extension], strict=True)) == wanted
    for row in data:
        found = np.stack([np.asarray(row[kind]) for kind in kinds])
        assert (found == images[list(wanted).index(row["__key__"])]).all()
    gc.collect()


def test_prompts_are_drawn_in_order_in_groups(synthcl, pipelines, prompts, tmp_path):
    out, base = tmp_path / "set", ("generate", "--generator", pipelines / "StableDiffusionPipeline", *FEW)
    base = (*base, "--prompts", prompts, "--images-per-sample", 3, "--group-by", "condition")
    synthcl(*base, "--out", out)
    lines = ["a red cat", "blue dog 7", "7 cats"]
    assert columns(out, "prompt")["prompt"] == [lines[i % 3] for i in range(10)]
    shards = open_shard_set(out)
    images = shards.read_views(range(10))
    assert shards.views_per_sample == 3 and shards.recipe.values["group_by"] == "condition"
    assert (images[:, 0] != images[:, 1]).any() and (images[:, 1] != images[:, 2]).any()
    assert "already finished" in synthcl(*base, "--out", out).stderr
    prompts.write_text("another prompt")
    assert "generator.prompts.sha256" in synthcl(*base, "--out", out, code=2).stderr


def test_prompts_of_a_parquet_file_are_the_same(synthcl, pipelines, prompts, tmp_path):
    table = tmp_path / "prompts.parquet"
    pq.write_table(pa.table({"caption": ["a red cat", "blue dog 7", "7 cats"]}), table)
    base = ("generate", "--generator", pipelines / "StableDiffusionPipeline", *FEW)
    for name, file in (("text", prompts), ("parquet", table)):
        synthcl(*base, "--prompts", file, "--out", tmp_path / name)
    assert (tmp_path / "text" / "000001.tar").read_bytes() == (tmp_path / "parquet" / "000001.tar").read_bytes()


def test_a_million_prompts_take_little_memory(synthcl, pipelines, prompts, tmp_path, request):
    many = tmp_path / "many.txt"
    many.write_text("\n".join(f"a photo of number {i}" for i in range(1_000_000)))
    base = ("generate", "--generator", pipelines / "StableDiffusionPipeline", "--sampling-steps", 2, "--workers", 0)
    synthcl(*base, "--num-samples", 4, "--prompts", prompts, "--out", tmp_path / "few")  # what is loaded in any case
    peak_memory = request.getfixturevalue("peak_memory")
    synthcl(*base, "--num-samples", 4, "--prompts", many, "--out", tmp_path / "set")
    assert peak_memory() < 400e6  # about 180 bytes a prompt, of which its text as a string of Python's takes 70
    assert columns(tmp_path / "set", "prompt")["prompt"] == [f"a photo of number {i}" for i in range(4)]
    recipe = open_shard_set(tmp_path / "set").recipe.values["generator"]
    assert recipe["prompts"]["number"] == 1_000_000


def test_a_preview_is_of_the_first_prompts(synthcl, pipelines, prompts, tmp_path):
    out = tmp_path / "grid.png"
    few = ("--num-samples", 3, "--sampling-steps", 2)
    drawn = ("--generator", pipelines / "StableDiffusionPipeline", "--prompts", prompts)
    result = synthcl("preview", *drawn, *few, "--out", out)
    assert out.stat().st_size > 0
    assert f"--prompts {prompts} --num-samples" in result.stderr  # what is said to come next


def test_groups_train(synthcl, generator, tmp_path):
    out = tmp_path / "set"
    few = ("--num-samples", 40, "--workers", 0)
    synthcl("generate", "--generator", generator, *few, "--images-per-sample", 4, "--pair-strength", 0.4, "--out", out)
    assert open_shard_set(out).views_per_sample == 4
    result = synthcl(
        "train",
        "--data",
        "digits[:10%]",
        "--shards",
        out,
        "--steps",
        2,
        "--batch-size",
        16,
        "--out",
        tmp_path / "run",
        "--json",
    )
    assert result.json["steps"] == 2


@pytest.mark.parametrize(
    ("kind", "options", "code", "message"),
    [
        ("gan", ("--prompts", "PROMPTS"), 2, "--prompts cannot be given here"),
        ("gan", ("--classes", "0-3"), 2, "--classes cannot be given here"),
        ("gan", ("--pairs", "--group-by", "condition"), 2, "has no classes and no prompts to group images by"),
        ("gan", ("--group-by", "condition"), 2, "--group-by means nothing without --pairs or --images-per-sample"),
        ("gan", ("--write-labels",), 2, "are of no class and no prompt; leave it out"),
        ("gan", ("--images-per-sample", 1, "--pairs"), 2, "it cannot be given with --images-per-sample 1"),
        ("gan", ("--images-per-sample", 65), 2, "--images-per-sample must be at most 64, not 65"),
        ("gan", ("--images-per-sample", 0), 2, "--images-per-sample must be at least 1, not 0"),
        ("DiTPipeline", ("--classes", "8-12"), 2, "classes must be some of 0 to 9, not [8, 9, 10, 11, 12]"),
        ("DDIMPipeline", ("--classes", "4-6"), 2, "classes must be some of 0 to 5, not [4, 5, 6]"),
        ("DiTPipeline", ("--classes", "dog"), 2, "--classes 'dog' is no class"),
        ("DiTPipeline", ("--prompts", "PROMPTS"), 2, "a DiTPipeline takes no prompts; leave them out"),
        ("DiTPipeline", ("--pairs", "--group-by", "condition", "--pair-strength", 0.5), 2, "--pair-strength is for"),
        ("StableDiffusionPipeline", (), 2, "draws what prompts say; give some"),
        ("StableDiffusionPipeline", ("--prompts", "nowhere.txt"), 2, "there is no such file"),
        ("StableDiffusionPipeline", ("--prompts", "NUL"), 1, "line 1 holds a control character"),
        ("StableDiffusionPipeline", ("--prompts", "NUL-PARQUET"), 1, "line 2 holds a control character"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    synthcl, generator, pipelines, prompts, tmp_path, kind, options, code, message
):
    nul = tmp_path / "nul.txt"
    nul.write_bytes(b"a \x00 cat")
    nul_in_parquet = tmp_path / "nul.parquet"
    pq.write_table(pa.table({"text": ["a cat", "a \x00 dog"]}), nul_in_parquet)
    files = {"PROMPTS": prompts, "NUL": nul, "NUL-PARQUET": nul_in_parquet}
    source = generator if kind == "gan" else pipelines / kind
    options = [files.get(one, one) for one in options]
    result = synthcl(
        "generate", "--generator", source, "--num-samples", 4, *options, "--out", tmp_path / "s", code=code
    )
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "s").exists()
