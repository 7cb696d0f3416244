"""No option is parsed and ignored: small commands are run, and what they read of their configs is noted."""

import dataclasses
import importlib
import json
import pkgutil
import sys
from collections import defaultdict

import pytest
import torch

import synthcl.pipeline.configs as package
from synthcl.learners import create_backbone
from synthcl.pipeline.configs.ray import RayConfig
from synthcl.pipeline.configs.training import TrainingConfig
from synthcl.pipeline.encoder import Encoder
from synthcl.pipeline.options.config import Config

SIZE, BACKBONE = 8, "resnet10-w8"
CHECKS = ("__post_init__", "check", "_check", "_take_recipe")
"""How functions of configs begin that read options only to check them: that is no use."""


@pytest.fixture
def reads(monkeypatch):
    """The names of the options that are read, by the name of the config class, but for checks and copies."""
    found = defaultdict(set)

    def read(self, name):
        if name in type(self).__dataclass_fields__:
            reader = sys._getframe(1)
            module = reader.f_globals["__name__"]
            checks = ".configs." in module and reader.f_code.co_name.startswith(CHECKS)
            if not checks and module not in ("synthcl.pipeline.options.config", "dataclasses"):
                found[type(self).__name__].add(name)
        return object.__getattribute__(self, name)

    monkeypatch.setattr(Config, "__getattribute__", read)
    return found


@pytest.fixture(scope="module")
def made(synthcl, generator, build_pipeline, tmp_path_factory):
    """What commands start from: an encoder's run, a generator and a shard set, by the words that stand for them."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "run").mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Encoder(create_backbone(BACKBONE, image_size=SIZE), BACKBONE, SIZE).save(folder / "run" / "encoder")
    (folder / "run" / "run.json").write_text(json.dumps({"command": "train"}))
    (folder / "run" / "config.yaml").write_text("data: digits\n")
    synthcl("generate", "--generator", generator, "--num-samples", 40, "--workers", 0, "--out", folder / "shards")
    build_pipeline("DDIMPipeline").save_pretrained(folder / "diffusion")
    return {
        "RUN": folder / "run",
        "GENERATOR": generator,
        "DIFFUSION": folder / "diffusion",
        "SHARDS": folder / "shards",
    }


TRAIN = "train --data digits[:32] --image-size 8 --batch-size 16 --backbone resnet10-w8 --precision fp32 "
FIT = "--data digits:train[:100] --test-data digits:test[:50]"
COMMANDS = {
    "PretrainConfig": [
        "pretrain --data digits --image-size 8 --preset tiny --batch-size 8 --steps 1 --eval-encoder RUN "
        "--eval-samples 10 --push me/gan --out OUT/gan",
    ],
    "PreviewConfig": ["preview --generator GENERATOR --data digits --out OUT/x.png"],
    "GenerateConfig": [
        "generate --generator GENERATOR --num-samples 4 --pairs --workers 0 --out OUT/set",
        "generate --generator GENERATOR --num-samples 4 --executor slurm --partition p --time 1:00 "
        "--slurm-option gres=gpu:1 --no-submit --out OUT/slurm",
        "generate --generator DIFFUSION --sampling-steps 4 --anchors digits[:4] --per-anchor 1 --workers 0 --out OUT/v",
    ],
    "TrainConfig": [
        TRAIN + "--steps 1 --learner-option hidden_dim=8 --out OUT/real",
        TRAIN + "--steps 1 --learner dino --local-views 2 --local-size 6 --view-size 8 --out OUT/local",
        TRAIN + "--epochs 1 --shards SHARDS --out OUT/offline",
        TRAIN
        + "--steps 1 --online --generator GENERATOR --record OUT/recorded --pair-similarity 0.9:0.5 --eval-encoder RUN "
        "--eval-samples 10 --guard-every 1 --out OUT/online",
        TRAIN + "--steps 1 --replay OUT/recorded --out OUT/replay",
        TRAIN + "--steps 1 --fresh --generator GENERATOR --out OUT/fresh",
    ],
    "CompareConfig": [
        "compare --data digits[:200] --image-size 8 --batch-size 16 --backbone resnet10-w8 --precision fp32 --steps 1 "
        "--regimes real,offline --seeds 1 --generator GENERATOR --num-samples 16 --label-fraction 0.5 "
        "--transfer digits:train[:100] --transfer-test-data digits:test[:50] --primary offline-real --out OUT/compare",
    ],
    "DemoConfig": ["demo --out OUT/demo --json"],
    "LinearConfig": [f"eval linear RUN {FIT} --shots 1 --draws 2", f"eval linear RUN {FIT} --probe sgd --epochs 1"],
    "KnnConfig": [f"eval knn RUN {FIT} --k 5 --temperature 0.1", f"eval knn RUN {FIT} --shots 1"],
    "FinetuneConfig": [f"eval finetune RUN {FIT} --epochs 1"],
    "TransferConfig": [f"eval transfer RUN {FIT}"],
    "RobustnessConfig": [f"eval robustness RUN {FIT} --corruptions fog --severities 5"],
    "QualityConfig": ["eval quality SHARDS --data digits --encoder RUN --k 2 --scores quality"],
    "AlignmentConfig": ["eval alignment RUN --data digits[:50]"],
    "EmbedConfig": ["embed RUN --data digits[:50] --picture OUT/x.png --method pca --out OUT/x.parquet"],
    "ExportConfig": ["export RUN --push me/encoder --out OUT/exported"],
    "VerifyConfig": ["shards verify SHARDS"],
    "ShardPreviewConfig": ["shards preview SHARDS --data digits --sort sample_index --out OUT/x.png"],
    "CardConfig": ["shards card SHARDS --data digits"],
    "PushConfig": ["shards push SHARDS --to me/set --data digits"],
    "ScoreConfig": ["shards score SHARDS --encoder RUN --data digits[:50] --clusters 2"],
    "ShowConfig": ["runs show RUN"],
}
PASSED_ON = {
    "CompareConfig": {f.name for f in dataclasses.fields(TrainingConfig)},
    "GenerateConfig": {f.name for f in dataclasses.fields(RayConfig)},
    "ScoreConfig": {f.name for f in dataclasses.fields(RayConfig)},
    "TransferConfig": {"untrained", "precision", "batch_size", "data_root", "seed", "label_fraction"},
    "TrainConfig": {"sync_batchnorm"},
}
"""Options that a command hands on as they are, to trainings and to the linear probe, which use them; and those that
count in several processes only (test_processes.py), or on a Ray cluster (test_ray_sets.py, test_on_ray.py)."""


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("hub", "quick_probes")
def test_every_option_of_a_command_is_read(synthcl, made, reads, tmp_path, monkeypatch, name):
    # The demo makes options of its own for these two, and has nothing else to do.
    monkeypatch.setattr("synthcl.pipeline.comparison.demo.pretrain", lambda config: {})
    monkeypatch.setattr("synthcl.pipeline.comparison.demo.compare", lambda config: {})
    for command in COMMANDS[name]:
        words = [word.replace("OUT", str(tmp_path)) for word in command.split()]
        synthcl(*[made.get(word, word) for word in words])
    (config,) = (c for c in config_classes() if c.__name__ == name)
    unused = {f.name for f in dataclasses.fields(config)} - reads[name] - PASSED_ON.get(name, set())
    assert not unused, (
        f"no command in COMMANDS[{name!r}] reads {', '.join(sorted(unused))}: have something read it, or add a command "
        f"whose run does"
    )


def config_classes():
    modules = [importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    found = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    return sorted((c for c in found if issubclass(c, Config) and c is not Config), key=lambda c: c.__name__)


def test_every_command_is_run():
    bases = {base for config in config_classes() for base in config.__mro__[1:]}
    assert {c.__name__ for c in config_classes() if c not in bases} == COMMANDS.keys()


def test_an_option_that_nothing_reads_is_noted(reads):
    @dataclasses.dataclass(kw_only=True)
    class Ignoring(Config):
        used: int = dataclasses.field(default=1, metadata=TrainingConfig.__dataclass_fields__["steps"].metadata)
        ignored: int = dataclasses.field(default=1, metadata=TrainingConfig.__dataclass_fields__["steps"].metadata)

    config = Ignoring()
    assert config.used == 1 and config.to_dict()["ignored"] == 1
    assert reads["Ignoring"] == {"used"}
