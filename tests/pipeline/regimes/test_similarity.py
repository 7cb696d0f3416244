"""The target of the pair's similarity: linear over training, and G_ema follows faster when pairs drift too far."""

import copy

import pytest
import torch

from synthcl.pipeline.regimes.similarity import PACE_RANGE, SimilarityTarget


def test_the_target_runs_from_start_to_end():
    target = SimilarityTarget(0.9, 0.5, 11, 0.99)
    assert [target.target(s) for s in (0, 5, 10, 99)] == pytest.approx([0.9, 0.7, 0.5, 0.5])


def test_the_decay_moves_against_the_error_within_bounds():
    target = SimilarityTarget(0.8, 0.8, 10, 0.99)
    assert target.decay(0, torch.tensor(0.8)) == pytest.approx(0.99)
    assert target.decay(1, torch.tensor(0.6)) == pytest.approx(0.99)  # that of the step before was on target
    assert target.decay(2, torch.tensor(0.8)) < 0.99  # too dissimilar: G_ema follows faster
    for _ in range(200):
        fastest = target.decay(2, torch.tensor(-1.0))
    assert fastest == pytest.approx(1 - PACE_RANGE[1])
    for _ in range(400):
        slowest = target.decay(3, torch.tensor(1.0))
    assert slowest == pytest.approx(1 - PACE_RANGE[0])


def test_it_holds_a_pair_that_drifts_with_the_memory_of_g_ema():
    """A plant whose similarity is 1 - drift * memory settles on the target."""
    target, similarity = SimilarityTarget(0.9, 0.9, 1000, 0.999), 1.0
    for step in range(1000):
        memory = 1 / (1 - target.decay(step, torch.tensor(similarity)))
        similarity = max(-1.0, 1 - 0.001 * memory)
    assert similarity == pytest.approx(0.9, abs=0.02)


def test_its_state_is_all_of_it_and_saving_changes_nothing():
    a, b = SimilarityTarget(0.9, 0.1, 20, 0.99), SimilarityTarget(0.9, 0.1, 20, 0.99)
    for step in range(7):
        a.decay(step, torch.tensor(0.3))
        if step == 3:
            a.state_dict()
    b.load_state_dict(a.state_dict())
    assert a.log_pace == b.log_pace
    c = SimilarityTarget(0.9, 0.1, 20, 0.99)
    for step in range(7):
        c.decay(step, torch.tensor(0.3))
    assert c.decay(7, torch.tensor(0.2)) == copy.deepcopy(b).decay(7, torch.tensor(0.2))
    assert a.decay(7, torch.tensor(0.2)) == b.decay(7, torch.tensor(0.2))


def test_two_processes_use_one_decay_which_answers_the_similarity_of_both(in_ranks):
    def decays(rank):
        target = SimilarityTarget(0.9, 0.9, 10, 0.99)
        return [target.decay(step, torch.tensor((0.2, 0.6)[rank])) for step in range(3)]

    whole = SimilarityTarget(0.9, 0.9, 10, 0.99)
    expected = [whole.decay(step, torch.tensor(0.4)) for step in range(3)]
    assert in_ranks(2, decays) == [pytest.approx(expected)] * 2
