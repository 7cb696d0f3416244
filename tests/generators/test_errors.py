"""A wrong option is told from a generator that cannot be opened: one is wrong usage, the other is not."""

import subprocess
import sys

import pytest

from synthcl.generators import OptionError, create_trainer, load_generator, load_trainer
from synthcl.generators.errors import UnknownOptionError
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.generation.opening import generator_options


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gan")
    create_trainer("gan", 8, preset="tiny").save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: create_trainer("vae", 8),
        lambda folder: create_trainer("gan", 8, preset="tiny", colour="red"),
        lambda folder: load_trainer(folder, ema_decay=2.0),
        lambda folder: load_generator(folder, sampling_steps=3),
    ],
    ids=["kind", "name", "value", "of another kind"],
)
def test_what_the_caller_can_mend_is_wrong_usage(make, saved):
    with pytest.raises(OptionError) as plain:
        make(saved)
    with pytest.raises(UsageError) as told, generator_options():
        make(saved)
    if isinstance(plain.value, UnknownOptionError):  # in the words of the command line
        (name,) = plain.value.unknown
        assert f"takes no {name}: " in str(plain.value)
        assert str(told.value).startswith(f"--{name.replace('_', '-')} cannot be given here")
    else:
        assert str(told.value) == str(plain.value) and str(plain.value)


def test_a_damaged_generator_is_no_wrong_usage(saved, tmp_path):
    (tmp_path / "config.json").write_text((saved / "config.json").read_text())
    with pytest.raises(ValueError, match=str(tmp_path)) as error, generator_options():
        load_generator(tmp_path)
    assert not isinstance(error.value, OptionError | UsageError)


def test_it_can_be_caught_without_torch():
    code = "import sys; from synthcl.generators import OptionError; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False"]
