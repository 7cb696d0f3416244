"""The table of kinds: names without torch, and a sentence for whatever cannot be opened."""

import json
import subprocess
import sys

import pytest

from synthcl.generators import create_trainer, generator_kinds, kind_of, load_generator, load_trainer


def test_the_names_cost_no_torch():
    code = (
        "import sys; from synthcl.generators import generator_kinds; print(generator_kinds(), 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'gan'" in result.stdout and result.stdout.strip().endswith("False")


def test_the_kinds_are_listed():
    assert "gan" in generator_kinds()


def test_an_unknown_kind_lists_the_choices():
    with pytest.raises(ValueError, match=r"'vae'.*gan"):
        create_trainer("vae", 8)


def test_an_unknown_preset_lists_the_choices():
    with pytest.raises(ValueError, match=r"'huge'.*tiny"):
        create_trainer("gan", 8, preset="huge")


@pytest.mark.parametrize("size", [4, 9, 18, 36, 160, 256])
def test_a_size_that_cannot_be_made_is_refused(size):
    with pytest.raises(ValueError, match=str(size)):
        create_trainer("gan", size, preset="tiny")


def test_an_unknown_option_lists_the_choices(tmp_path):
    with pytest.raises(ValueError, match=r"gama.*gamma"):
        create_trainer("gan", 8, preset="tiny", gama=1.0)
    create_trainer("gan", 8, preset="tiny").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"gama.*gamma"):
        load_trainer(tmp_path, gama=1.0)


@pytest.mark.parametrize("load", [load_generator, load_trainer, kind_of])
class TestWhatCannotBeOpened:
    def test_a_missing_path(self, load, tmp_path):
        with pytest.raises(ValueError, match=r"nowhere.*does not exist"):
            load(tmp_path / "nowhere")

    def test_a_file(self, load, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ValueError, match=r"file.*is a file"):
            load(tmp_path / "file")

    def test_what_is_meant_for_a_class(self, load):
        for source in ("my-own:Thing", "nets/own.py:Thing:weights"):
            if load is kind_of:
                assert kind_of(source) == "custom"
                continue
            with pytest.raises(ValueError, match=r"package\.module:Class|does not learn"):
                load(source)

    def test_an_empty_folder(self, load, tmp_path):
        with pytest.raises(ValueError, match=r"config\.json.*GANGenerator"):
            load(tmp_path)

    def test_another_model(self, load, tmp_path):
        (tmp_path / "config.json").write_text(json.dumps({"_class_name": "GANDiscriminator"}))
        with pytest.raises(ValueError, match=r"GANGenerator.*found 'GANDiscriminator'"):
            load(tmp_path)

    @pytest.mark.parametrize("text", ["{", "[1]", "\x00"])
    def test_a_damaged_configuration(self, load, tmp_path, text):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(ValueError, match=r"config\.json"):
            load(tmp_path)


def test_weights_that_are_missing_or_damaged_are_named(tmp_path):
    create_trainer("gan", 8, preset="tiny").save_pretrained(tmp_path)
    (weights,) = tmp_path.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match=str(tmp_path)):
        load_generator(tmp_path)
    weights.unlink()
    with pytest.raises(ValueError, match=str(tmp_path)):
        load_generator(tmp_path)


def test_weights_that_do_not_fit_the_configuration_are_refused(tmp_path):
    create_trainer("gan", 8, preset="tiny").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for change in ({"blocks_per_stage": 2}, {"latent_size": 3}, {"widths": [8]}, {"image_size": "large"}):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ValueError, match=str(tmp_path)):
            load_generator(tmp_path)


def test_a_latent_diffusion_pipeline_is_taken_up_and_names_its_options(build_pipeline, tmp_path):
    build_pipeline("DiTPipeline").save_pretrained(tmp_path / "dit")
    build_pipeline("LatentConsistencyModelPipeline").save_pretrained(tmp_path / "lcm")
    assert type(load_trainer(tmp_path / "dit", lora_rank=2)).__name__ == "PipelineTrainer"
    with pytest.raises(ValueError, match=r"DiTPipeline trainer takes no gamma.*lora_rank, classes"):
        load_trainer(tmp_path / "dit", gamma=1.0)
    with pytest.raises(ValueError, match=r"does not learn.*LDMPipeline or DiTPipeline"):
        load_trainer(tmp_path / "lcm")
