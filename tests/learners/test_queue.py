"""A queue keeps the newest embeddings, in the order of their groups."""

import pytest
import torch

from synthcl.learners.queue import enqueue, random_queue


def test_a_queue_starts_with_rows_of_unit_length():
    queue = random_queue(7, 3)
    assert queue.shape == (7, 3)
    torch.testing.assert_close(queue.norm(dim=1), torch.ones(7))


@pytest.mark.parametrize("counts", [[2, 2, 2], [3, 4], [5, 1, 3], [9], [4, 4, 4]])
def test_it_holds_the_newest_rows_as_a_list_would(counts):
    size, generator = 5, torch.Generator().manual_seed(0)
    queue, position, naive = torch.zeros(size, 2), torch.zeros((), dtype=torch.int64), [torch.zeros(2)] * size
    for count in counts:
        embeddings, groups = torch.randn(count, 2, generator=generator), torch.randperm(count, generator=generator)
        enqueue(queue, position, embeddings, groups)
        naive = [*naive, *(embeddings[groups.tolist().index(group)] for group in range(count))][-size:]
    # The oldest row is the next to be overwritten.
    torch.testing.assert_close(queue.roll(-int(position), 0), torch.stack(naive))


def test_a_group_s_rows_keep_their_order():
    queue, position = torch.zeros(4, 1), torch.zeros((), dtype=torch.int64)
    enqueue(queue, position, torch.tensor([[1.0], [2.0], [3.0], [4.0]]), torch.tensor([1, 0, 1, 0]))
    assert queue.flatten().tolist() == [2.0, 4.0, 1.0, 3.0]
