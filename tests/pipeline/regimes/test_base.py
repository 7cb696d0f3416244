"""Shares of a step, and what a regime tells of a batch."""

import pytest
import torch

from synthcl.learners.base import LearnerOutput
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.regimes.base import (
    MultiViewedBatch,
    Share,
    check_generator_size,
    hardness_metrics,
    synthetic_share,
    unit_interval,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize("num_processes", [1, 2, 3])
def test_shares_are_numbered_without_gap(num_processes):
    shares = [Share(12, rank, num_processes) for rank in range(num_processes)]
    assert torch.cat([share.numbers(CPU) for share in shares]).tolist() == list(range(12))
    assert {share.slice.stop - share.slice.start for share in shares} == {12 // num_processes}


@pytest.mark.parametrize(("batch_size", "ratio", "total"), [(8, 0.5, 4), (8, 2.0, 16), (10, 0.25, 2), (3, 0.3, 1)])
def test_a_step_has_the_whole_number_of_latents_next_to_the_ratio(batch_size, ratio, total):
    assert synthetic_share(batch_size, ratio, 0, 1).total == total


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: synthetic_share(8, 0.05, 0, 1), r"--synthetic-ratio 0\.05 of --batch-size 8 is less than one latent"),
        (
            lambda: synthetic_share(10, 0.5, 0, 2).slice,
            r"--batch-size times --synthetic-ratio \(5\) cannot be shared evenly by 2 processes; give a multiple",
        ),
        (
            lambda: Share(12).check_parts(5),
            r"--batch-size \(12\) cannot be shared evenly by --accumulate 5 parts; give a multiple of 5$",
        ),
        (
            lambda: Share(12, 1, 2).check_parts(4),
            r"by --accumulate 4 parts in each of 2 processes; give a multiple of 8$",
        ),
        (lambda: check_generator_size("gan", 16, 8), "--generator gan makes images of 16 pixels, .* --image-size 16"),
    ],
)
def test_what_cannot_be_shared_or_fed_is_refused_with_what_to_give(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize("parts", [1, 2, 3, 6])
def test_what_can_be_shared_passes(parts):
    Share(12, 1, 2).check_parts(parts)
    check_generator_size("gan", 8, 8)


def test_hardness_is_told_apart_for_real_and_synthetic_views():
    hardness = torch.tensor([1.0, 3.0, 5.0, 10.0])
    output = LearnerOutput(hardness.mean(), hardness, torch.zeros(4, 2))

    def metrics(num_real):
        batch = MultiViewedBatch(torch.zeros(4, 3, 2, 2), torch.arange(4), num_real)
        return {name: value.item() for name, value in hardness_metrics(batch, output).items()}

    assert metrics(2) == {"hardness_real": 2.0, "hardness_synthetic": 7.5}
    assert metrics(4) == {"hardness_real": 4.75}


def test_the_range_of_generators_becomes_that_of_views():
    assert unit_interval(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [0.0, 0.5, 1.0]
