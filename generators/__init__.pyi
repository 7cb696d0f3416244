from .base import Draws as Draws
from .base import Generator as Generator
from .base import GeneratorTrainer as GeneratorTrainer
from .base import Synchronise as Synchronise
from .errors import OptionError as OptionError
from .registry import GENERATORS as GENERATORS
from .registry import create_trainer as create_trainer
from .registry import generator_kinds as generator_kinds
from .registry import kind_of as kind_of
from .registry import load_generator as load_generator
from .registry import load_trainer as load_trainer

__all__ = [
    "GENERATORS",
    "Draws",
    "Generator",
    "GeneratorTrainer",
    "OptionError",
    "Synchronise",
    "create_trainer",
    "generator_kinds",
    "kind_of",
    "load_generator",
    "load_trainer",
]
