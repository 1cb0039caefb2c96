"""The warp of networks: the same answers as the one on numpy, and a gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kinochrome import flow
from kinochrome.nets.warp import warp


def as_batch(motion: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(motion).permute(2, 0, 1)[None]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(24, 40), (7, 5)])
def test_the_answers_are_those_on_numpy(channels: int, height: int, width: int) -> None:
    random = np.random.default_rng(3)
    image = random.random((height, width, channels), np.float32)
    # OpenCV rounds places to 1/32 of a pixel. Some of these lie far outside.
    motion = (random.integers(-320, 321, (height, width, 2)) / 32).astype(np.float32)
    expected = flow.warp(image, motion).reshape(height, width, channels)
    seen = warp(torch.from_numpy(image).permute(2, 0, 1)[None], as_batch(motion))
    np.testing.assert_allclose(seen[0].permute(1, 2, 0).numpy(), expected, atol=1e-4)


def test_a_flow_says_where_a_pixel_lies_in_the_image() -> None:
    image = torch.zeros(1, 1, 3, 4)
    image[0, 0, 2, 3] = 8
    motion = torch.tensor([1.5, 1.0])[None, :, None, None].expand(1, 2, 3, 4)
    # Half a pixel left of the bright one; further right the edge goes on, and below too.
    assert warp(image, motion)[0, 0].tolist() == [[0, 0, 0, 0], [0, 4, 8, 8], [0, 4, 8, 8]]


def test_no_motion_changes_nothing_not_even_at_one_pixel() -> None:
    for size in ((1, 1), (1, 6), (5, 1), (4, 6)):
        image = torch.rand(2, 3, *size, dtype=torch.float64)
        torch.testing.assert_close(warp(image, torch.zeros(2, 2, *size, dtype=torch.float64)), image)


def test_each_image_of_a_batch_has_its_own_flow() -> None:
    image = torch.arange(4.0).expand(2, 1, 1, 4)
    motion = torch.zeros(2, 2, 1, 4)
    motion[1, 0] = 1
    assert warp(image, motion)[:, 0, 0].tolist() == [[0, 1, 2, 3], [1, 2, 3, 3]]


def test_gradients() -> None:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, 2, 4, 5, dtype=torch.float64, generator=generator).requires_grad_()
    # Away from the grid, where a bilinear answer has a kink.
    motion = 0.2 + 0.6 * torch.rand(1, 2, 4, 5, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(warp, (image, motion.requires_grad_()))
