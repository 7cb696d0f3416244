"""Several views of each image: their order, and that batch and process count do not choose them."""

import pytest
import torch

from synthcl.pipeline.randomness import Key
from synthcl.pipeline.views import MAX_VIEWS, Augmentation, multi_view

KEY = Key.from_seed(3).child("views", 0)
AUGMENTATION = Augmentation("byol", 12)


def random_images(n):
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(n))


def test_views_of_an_image_stand_together_in_order():
    images, numbers = random_images(6), torch.arange(10, 16)
    views = multi_view(images, numbers, 3, AUGMENTATION, KEY)
    assert views.shape == (18, 3, 12, 12)
    for i in range(6):
        for v in range(3):
            alone = AUGMENTATION(images[i : i + 1], KEY.at(numbers[i : i + 1] * MAX_VIEWS + v), v)
            torch.testing.assert_close(views[3 * i + v], alone[0], rtol=0, atol=1e-5)
    assert (views[0::3] - views[1::3]).abs().amax((1, 2, 3)).min() > 1e-2


def test_processes_and_batches_do_not_choose_the_views():
    images, numbers = random_images(8), torch.arange(8)
    together = multi_view(images, numbers, 2, AUGMENTATION, KEY)
    parts = [multi_view(images[r::2], numbers[r::2], 2, AUGMENTATION, KEY).unflatten(0, (4, 2)) for r in range(2)]
    apart = torch.stack(parts, dim=1).flatten(0, 2)
    torch.testing.assert_close(apart, together, rtol=0, atol=1e-5)


def test_more_views_leave_the_first_ones_alone():
    images, numbers = random_images(4), torch.arange(4)
    two = multi_view(images, numbers, 2, AUGMENTATION, KEY).unflatten(0, (4, 2))
    four = multi_view(images, numbers, 4, AUGMENTATION, KEY).unflatten(0, (4, 4))
    torch.testing.assert_close(four[:, :2], two, rtol=0, atol=1e-5)


def test_another_key_gives_other_views():
    images, numbers = random_images(4), torch.arange(4)
    one, other = (multi_view(images, numbers, 2, AUGMENTATION, k) for k in (KEY, Key.from_seed(3).child("views", 1)))
    assert (one - other).abs().amax((1, 2, 3)).min() > 1e-3


def test_wrong_counts_are_named():
    images, numbers = random_images(2), torch.arange(2)
    for num_views in (0, MAX_VIEWS + 1):
        with pytest.raises(ValueError, match=f"num_views is {num_views}"):
            multi_view(images, numbers, num_views, AUGMENTATION, KEY)
    with pytest.raises(ValueError, match=r"2 images.*not 3"):
        multi_view(images, torch.arange(3), 2, AUGMENTATION, KEY)
