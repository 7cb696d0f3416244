"""DiffAugment: each image its own parameters, differentiable, and geometry as a plain loop would do it."""

import pytest
import torch

from synthcl.generators.gan.diffaugment import (
    NUM_PARAMETERS,
    POLICIES,
    check_policy,
    colour,
    cutout,
    diffaugment,
    translation,
)

N, SIZE = 6, 16
MIDDLE = 0.5


def batch(seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(N, 3, SIZE, SIZE, generator=generator, dtype=dtype) * 2 - 1
    return images, torch.rand(N, NUM_PARAMETERS, generator=generator, dtype=dtype)


def test_an_image_is_augmented_by_its_own_parameters_alone():
    images, uniform = batch()
    together = diffaugment(images, uniform)
    alone = torch.cat([diffaugment(images[i : i + 1], uniform[i : i + 1]) for i in range(N)])
    torch.testing.assert_close(together, alone)
    same = diffaugment(images[:1].expand(N, -1, -1, -1), uniform)
    assert all(not torch.allclose(same[0], other) for other in same[1:])


def test_colour_in_the_middle_changes_nothing():
    images, _ = batch()
    torch.testing.assert_close(colour(images, torch.full((N, 3), MIDDLE)), images)


def test_colour_shifts_saturates_and_contrasts():
    images, _ = batch()
    ends = {
        "brightness": (torch.tensor([[1.0, MIDDLE, MIDDLE]]), images + 0.5),
        "saturation": (torch.tensor([[MIDDLE, 0.0, MIDDLE]]), images.mean(1, keepdim=True).expand_as(images)),
        "contrast": (
            torch.tensor([[MIDDLE, MIDDLE, 0.0]]),
            (images + images.mean((1, 2, 3), keepdim=True)) / 2,
        ),
    }
    for name, (uniform, expected) in ends.items():
        torch.testing.assert_close(colour(images, uniform.expand(N, 3)), expected, msg=name)


def test_translation_moves_whole_pixels_and_fills_with_gray():
    images, uniform = batch()
    moved = translation(images, uniform[:, 3:5])
    shifts = (uniform[:, 3:5] * 5).long() - 2  # an eighth of 16 is 2
    assert len(set(map(tuple, shifts.tolist()))) > 2
    for image, result, (down, right) in zip(images, moved, shifts.tolist(), strict=True):
        expected = torch.zeros_like(image)
        for y in range(SIZE):
            for x in range(SIZE):
                if 0 <= y + down < SIZE and 0 <= x + right < SIZE:
                    expected[:, y, x] = image[:, y + down, x + right]
        assert torch.equal(result, expected)


def test_cutout_removes_one_square_of_half_the_side():
    images, uniform = batch()
    hole = cutout(images, uniform[:, 5:7]) == 0
    for mask in hole:
        assert torch.equal(mask[0], mask[1]) and torch.equal(mask[0], mask[2])
        rows, columns = mask[0].any(1).sum().item(), mask[0].any(0).sum().item()
        assert mask[0].sum().item() == rows * columns and 4 <= rows <= 8 and 4 <= columns <= 8
    kept = ~hole
    assert torch.equal(cutout(images, uniform[:, 5:7])[kept], images[kept])


@pytest.mark.parametrize("size, width", [(16, 8), (18, 9)])
def test_cutout_is_centred_on_every_place_and_cut_at_the_border(size, width):
    """An even square may lie about any of the `size` + 1 borders of pixels, an odd one about any of the pixels."""
    places = size + 1 - width % 2
    every = (torch.arange(places) + MIDDLE) / places
    rows = cutout(torch.ones(places, 3, size, size), torch.stack([every, torch.full_like(every, MIDDLE)], 1)) == 0
    for centre, found in enumerate(rows[:, 0].any(2)):
        expected = [centre - width // 2 <= y < centre - width // 2 + width for y in range(size)]
        assert found.tolist() == expected


@pytest.mark.parametrize("size", [8, 12, 15, 28])
def test_the_extreme_parameters_stay_inside(size):
    images = torch.ones(2, 3, size, size)
    for value in (0.0, 1 - 2.0**-24):
        seen = diffaugment(images, torch.full((2, NUM_PARAMETERS), value))
        assert seen.shape == images.shape and seen.isfinite().all() and (seen != 0).any()


def test_the_gradient_equals_finite_differences():
    images, uniform = batch(1, torch.double)
    small = images[:2, :, :8, :8].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: diffaugment(x, uniform[:2]), (small,))


def test_parts_are_chosen_by_name():
    images, uniform = batch()
    assert check_policy("none") == check_policy("") == ()
    assert torch.equal(diffaugment(images, uniform, ()), images)
    assert check_policy("cutout, colour") == ("cutout", "colour")
    only = diffaugment(images, uniform, ("translation",))
    assert torch.equal(only, translation(images, uniform[:, POLICIES["translation"][1]]))


def test_an_unknown_part_lists_the_choices():
    with pytest.raises(ValueError, match=r"'blur'.*colour, translation, cutout"):
        check_policy("colour,blur")
