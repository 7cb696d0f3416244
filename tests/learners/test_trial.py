"""What a class of the user's is told before it trains: each part of the contract that it may break."""

import pytest
import torch
import torch.nn.functional as F
from stand_ins.own_learner import Sound

from synthcl.learners import Learner, LearnerOutput, learner_names
from synthcl.learners.dino import DINO
from synthcl.learners.precision import unit_length
from synthcl.learners.registry import create_learner, learner_weights_views
from synthcl.learners.supcon import SupCon
from synthcl.learners.trial import NUM_REAL, TRIAL_GROUPS, TrialBackbone, check_contract, unheeded

N = len(TRIAL_GROUPS)


def output_of(**changed):
    """A learner whose output is not what it should be in one respect."""
    return {"forward": lambda self, *inputs: Sound.forward(self, *inputs)._replace(**changed)}


def apart(self, views, groups, num_real=None):
    """As `Sound.forward`, without `embed`."""
    embeddings = unit_length(self.backbone(views))
    losses = embeddings.sum(dim=1)
    return LearnerOutput(losses.mean(), losses.detach(), embeddings.detach())


def failing(self, *inputs):
    return {}["missing"]


UNSOUND = {
    "loss of each view": (output_of(loss=torch.ones(N, requires_grad=True)), "the loss of Broken must be one finite"),
    "a loss that is no tensor": (output_of(loss=1.5), "must be one finite number, a tensor .*, not a float"),
    "no loss": (output_of(loss=None), "must be one finite number, a tensor .*, not None"),
    "loss without number": (output_of(loss=torch.tensor(float("nan"))), "must be one finite number"),
    "loss without gradient": (output_of(loss=torch.tensor(1.0)), "no gradient goes from the loss of Broken"),
    "gradient elsewhere": (output_of(loss=torch.ones((), requires_grad=True)), "no gradient goes from the loss"),
    "one hardness": (output_of(hardness=torch.tensor(1.0)), "hardness of Broken must be one number for each view"),
    "no hardness": (output_of(hardness=None), "hardness of Broken must be one number for each view .*not None"),
    "long embeddings": (output_of(embeddings=torch.full((N, 4), 2.0)), "Broken.forward must give embeddings"),
    "no embeddings": (output_of(embeddings=None), "Broken.forward must give embeddings .*not None"),
    "embeddings that learn": (
        output_of(embeddings=unit_length(torch.ones(N, 4)).requires_grad_()),
        "embeddings that Broken.forward gives must be without gradient",
    ),
    "embed without return": ({"forward": apart, "embed": lambda self, views: None}, "Broken.embed .*not None"),
    "embed": ({"embed": lambda self, views: self.backbone(views) * 9}, "Broken.forward must give embeddings"),
    "a tuple": ({"forward": lambda self, *inputs: (1, 2, 3)}, "must give a LearnerOutput, not a tuple"),
    "no backbone": ({"__init__": lambda self, backbone, **c: Learner.__init__(self, **c)}, "self.backbone"),
}


@pytest.mark.parametrize(("members", "message"), UNSOUND.values(), ids=UNSOUND.keys())
def test_a_class_that_breaks_the_contract_is_told_where(members, message):
    check_contract(Sound(TrialBackbone()))
    with pytest.raises(ValueError, match=message):
        check_contract(type("Broken", (Sound,), members)(TrialBackbone()))


class Labelled(Sound):
    """It takes labels, as one with `uses_labels` is to, and needs them."""

    uses_labels = True

    def forward(self, views, groups, num_real=None, *, labels):
        assert labels.shape == groups.shape and labels.dtype == torch.int64
        return super().forward(views, groups, num_real)


UNTAKEN = {
    "no labels": ({"uses_labels": True}, "must take views, groups, num_real, labels, and .*unexpected.*'labels'"),
    "no local views": ({"takes_local_views": True}, "must take views, groups, num_real, local, and .*'local'"),
    "no groups": ({"forward": lambda self, views: None}, "must take views, groups, num_real, and .*too many"),
    "labels unsaid": ({"forward": Labelled.forward}, "must take views, groups, num_real, and .*missing.*'labels'"),
}


@pytest.mark.parametrize(("members", "message"), UNTAKEN.values(), ids=UNTAKEN.keys())
def test_a_class_is_told_what_its_forward_must_take(members, message):
    with pytest.raises(ValueError, match=f"Broken.forward {message}"):
        check_contract(type("Broken", (Sound,), members)(TrialBackbone()))


@pytest.mark.parametrize("kind", [Labelled, SupCon, DINO])
def test_what_a_class_says_it_takes_is_what_it_gets(kind):
    check_contract(kind(TrialBackbone()))


@pytest.mark.parametrize("method", ["forward", "embed", "after_step"])
def test_what_a_method_raises_is_told_with_its_place(method):
    members = {"forward": apart} | {method: failing}
    told = rf"Broken.{method} raised KeyError when it was tried: 'missing' \(.*test_trial.py, line \d+\)"
    with pytest.raises(ValueError, match=told):
        check_contract(type("Broken", (Sound,), members)(TrialBackbone()))


def pairs_of_halves(count):
    """NT-Xent on the first half of views beside the second, as where one has all first views, then all second ones."""
    return torch.arange(count).roll(count // 2)


def pairs_of_neighbours(count):
    return torch.arange(count) ^ 1


class Pairs(Sound):
    """NT-Xent (arXiv 2002.05709) of pairs at places, whatever `groups` says."""

    places = staticmethod(pairs_of_neighbours)

    def forward(self, views, groups, num_real=None):
        embeddings = self.embed(self.changed(views))
        logits = (embeddings @ embeddings.T).fill_diagonal_(-torch.inf)
        losses = F.cross_entropy(logits, self.places(len(views)), reduction="none")
        return LearnerOutput(losses.mean(), losses.detach(), embeddings.detach())

    def changed(self, views):
        return views


def test_positives_that_stand_elsewhere_are_refused():
    check_contract(Pairs(TrialBackbone()))
    halves = type("Halves", (Pairs,), {"places": staticmethod(pairs_of_halves)})
    with pytest.raises(ValueError, match="hardness of a view changes in Halves when its image changes places"):
        check_contract(halves(TrialBackbone()))


def test_a_learner_that_draws_random_numbers_is_not_judged_by_places():
    members = {"changed": lambda self, views: views + torch.randn_like(views)}
    check_contract(type("Noisy", (Pairs,), members)(TrialBackbone()))


def test_a_class_is_tried_on_the_views_of_online():
    seen = []

    class Watching(Sound):
        def forward(self, views, groups, num_real=None):
            seen.append((groups.tolist(), num_real))
            return super().forward(views, groups, num_real)

    check_contract(Watching(TrialBackbone()))
    assert seen[0] == ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5], NUM_REAL)


@pytest.mark.parametrize("name", learner_names())
def test_every_learner_meets_the_contract_and_heeds_what_all_take(name):
    check_contract(create_learner(name, TrialBackbone()))

    def made(backbone, **common):
        return create_learner(name, backbone, **common)

    assert unheeded(made, weighs_views=learner_weights_views(name)) == []


class Projecting(Sound):
    """It takes its views through `project`, and does not weigh them."""

    def __init__(self, backbone, **common):
        super().__init__(backbone, **common)
        self.head = torch.nn.Linear(backbone.num_features, 4)

    def forward(self, views, groups, num_real=None):
        embeddings = unit_length(self.project(self.backbone, self.head, views, groups, num_real))
        losses = embeddings.sum(dim=1)
        return LearnerOutput(losses.mean(), losses.detach(), embeddings.detach())

    def embed(self, views):
        return unit_length(self.head(self.backbone(views)))


class Weighing(Sound):
    def forward(self, views, groups, num_real=None):
        output = super().forward(views, groups, num_real)
        return output._replace(loss=self.reduce(self.embed(views).sum(dim=1), num_real))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Sound, ["num_parts", "weight", "own_statistics"]),
        (Projecting, ["weight"]),
        (Weighing, ["num_parts", "own_statistics"]),
    ],
)
def test_what_a_class_does_not_heed_is_found(kind, expected):
    assert unheeded(kind) == expected
    assert unheeded(kind, weighs_views=False) == [name for name in expected if name != "weight"]
