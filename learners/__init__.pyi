from .base import Learner as Learner
from .base import LearnerOutput as LearnerOutput
from .batchnorm import convert_sync_batchnorm as convert_sync_batchnorm
from .recipe import OptimizerRecipe as OptimizerRecipe
from .registry import BACKBONES as BACKBONES
from .registry import LEARNERS as LEARNERS
from .registry import backbone_names as backbone_names
from .registry import check_learner as check_learner
from .registry import create_backbone as create_backbone
from .registry import create_learner as create_learner
from .registry import learner_names as learner_names
from .registry import learner_option_types as learner_option_types
from .registry import learner_options as learner_options
from .registry import learner_recipe as learner_recipe

__all__ = [
    "BACKBONES",
    "LEARNERS",
    "Learner",
    "LearnerOutput",
    "OptimizerRecipe",
    "backbone_names",
    "check_learner",
    "convert_sync_batchnorm",
    "create_backbone",
    "create_learner",
    "learner_names",
    "learner_option_types",
    "learner_options",
    "learner_recipe",
]
