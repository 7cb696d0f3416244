import pytest
import torch

from synthcl.generators import create_trainer
from synthcl.pipeline.generation.opening import save_generator


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with a generator, as a finished run has it."""
    path = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    trainer = create_trainer("gan", 8, preset="tiny")
    with torch.no_grad():
        for parameter in trainer.ema.parameters():  # untrained networks make everything alike
            parameter += 0.1 * torch.randn_like(parameter)
    save_generator(trainer, path)
    return path
