"""A learner of the user's own that meets the contract, to break one part of it at a time."""

from synthcl.learners import Learner, LearnerOutput, OptimizerRecipe
from synthcl.learners.precision import unit_length


class Sound(Learner):
    recipe = OptimizerRecipe(base_learning_rate=0.1, weight_decay=0.0, source="a test")

    def __init__(self, backbone, **common):
        super().__init__(**common)
        self.backbone = backbone

    def embed(self, views):
        return unit_length(self.backbone(views))

    def forward(self, views, groups, num_real=None):
        embeddings = self.embed(views)
        losses = embeddings.sum(dim=1)
        return LearnerOutput(losses.mean(), losses.detach(), embeddings.detach())
