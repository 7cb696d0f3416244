"""A learner of one's own. From the folder that this file is in:

    synthcl train --data digits --learner custom_learner:AlignUniform --learner-option bandwidth=3 --steps 200 --out own
    synthcl eval linear own --data digits

The method brings the views of an image together and spreads all embeddings evenly over the sphere. Any other serves in
its place that has a recipe, a backbone, `embed` and `forward`, and keyword-only options, which `--learner-option` sets;
by `project` and `reduce` it heeds --accumulate, --separate-batchnorm and --synthetic-weight.
To make it part of the package, move the class to `learners/` and its line to the table in `learners/registry.py`.
"""

from __future__ import annotations

from torch import nn

from synthcl.learners import Learner, LearnerOutput, OptimizerRecipe
from synthcl.learners.collectives import gather, gather_with_gradient
from synthcl.learners.heads import mlp
from synthcl.learners.precision import full_precision, unit_length
from synthcl.learners.validation import num_features, require_positive


class AlignUniform(Learner):
    """Alignment and uniformity (Wang and Isola 2020, arXiv 2005.10242, section 4.1), on groups of any number of views.

    The logarithm is taken for each view and not once for all (ours), so that every view has a loss of its own: views
    can then be weighted, and `hardness` is exact.

    Args:
        backbone: see `Learner`.
        hidden_dim: width of the projection head. Ours, as `embedding_dim`: this package's for SimCLR.
        embedding_dim: D.
        uniformity_weight: lambda; 1 is the paper's.
        bandwidth: t in exp(-t distance^2); 2 is the paper's.
    """

    recipe = OptimizerRecipe(
        base_learning_rate=0.12, weight_decay=5e-4, source="ours: this package's for SimCLR, not tuned"
    )

    def __init__(
        self,
        backbone: nn.Module,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 256,
        uniformity_weight: float = 1.0,
        bandwidth: float = 2.0,
        **common,
    ) -> None:
        super().__init__(**common)  # num_parts and synthetic, which every learner takes
        require_positive(hidden_dim=hidden_dim, embedding_dim=embedding_dim)
        require_positive(uniformity_weight=uniformity_weight, bandwidth=bandwidth)
        self.backbone = backbone
        self.head = mlp(num_features(backbone), hidden_dim, embedding_dim)
        self.uniformity_weight, self.bandwidth = uniformity_weight, bandwidth

    def embed(self, views):
        return unit_length(self.head(self.backbone(views)))

    def forward(self, views, groups, num_real=None):
        embeddings = unit_length(self.project(self.backbone, self.head, views, groups, num_real))  # (N, D)
        with full_precision(embeddings):
            # The views of all W processes, so that several processes compute what one does.
            distances = 2 - 2 * embeddings @ gather_with_gradient(embeddings).T  # (N, W * N), squared
            same = groups[:, None] == gather(groups)[None]
            # A view is of its own group, at distance 0: it adds nothing to the sum, and is not counted.
            alignment = (distances * same).sum(dim=1) / (same.sum(dim=1) - 1)
            spread = (-self.bandwidth * distances).masked_fill(same, -float("inf")).logsumexp(dim=1)
            uniformity = spread - (~same).sum(dim=1).log()
            losses = alignment + self.uniformity_weight * uniformity  # (N,)
        return LearnerOutput(self.reduce(losses, num_real), losses.detach(), embeddings.detach())
