"""The pyramid of grey frames: sizes, what each level is told, and that eyes see by it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kinochrome.methods.bistnet.experts import Eyes
from kinochrome.nets.pyramid import Pyramid

WIDTHS = (8, 16, 24, 32)


def emptied() -> Pyramid:
    """One that says zero everywhere."""
    pyramid = Pyramid(WIDTHS).requires_grad_(False)
    for tensor in pyramid.parameters():
        tensor.zero_()
    return pyramid


def bias(convolution: nn.Module) -> Tensor:
    assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
    return convolution.bias


def test_sizes_and_names() -> None:
    pyramid = Pyramid(WIDTHS)
    shapes = [tuple(level.shape) for level in pyramid(torch.rand(2, 1, 32, 48) * 100)]
    assert shapes == [(2, 8, 16, 24), (2, 16, 8, 12), (2, 24, 4, 6), (2, 32, 2, 3)]
    parts = list(dict.fromkeys(name.partition(".")[0] for name in pyramid.state_dict()))
    assert parts == ["at2", "at4", "at8", "at16", "down16", "back8", "down8", "back4"]


def test_lightness_is_centred_and_every_second_pixel_met() -> None:
    pyramid = emptied()
    pyramid.at2[0].weight[:, :, 1, 1] = 1  # type: ignore[operator, index]
    lightness = torch.arange(256.0).view(1, 1, 16, 16) * 100 / 255
    x2 = pyramid(lightness)[0]
    torch.testing.assert_close(x2[0, 3], (lightness[0, 0, ::2, ::2] / 50 - 1).clamp(min=0))
    assert x2.max() > 0.5


def test_the_middle_levels_are_told_by_the_coarser_ones() -> None:
    pyramid = emptied()
    for convolution, value in ((pyramid.at2[0], 3.0), (pyramid.at4[0], 5.0), (pyramid.at8[0], 7.0)):
        bias(convolution).fill_(value)
    bias(pyramid.at16[0]).fill_(11.0)
    lightness = torch.full((1, 1, 32, 32), 50.0)
    assert [level.unique().tolist() for level in pyramid(lightness)] == [[3], [5], [7], [11]]
    # Means over the channels of the coarser level; stride 16 comes to stride 4 by way of stride 8.
    pyramid.down16.weight.fill_(1 / 32)
    assert [level.unique().tolist() for level in pyramid(lightness)] == [[3], [5], [18], [11]]
    pyramid.down8.weight.fill_(1 / 24)
    found = [float(level.mean()) for level in pyramid(lightness)]
    assert found == pytest.approx([3, 23, 18, 11])


def test_everything_learns() -> None:
    pyramid = Pyramid(WIDTHS)
    for name, parameter in pyramid.named_parameters():
        if name.endswith("second.weight"):
            nn.init.normal_(parameter)  # blocks begin by passing on what they see
    sum(level.square().sum() for level in pyramid(torch.rand(1, 1, 32, 32) * 100)).backward()  # type: ignore[union-attr]
    assert [name for name, one in pyramid.named_parameters() if one.grad is None or not one.grad.any()] == []


def test_eyes_see_by_a_pyramid() -> None:
    torch.manual_seed(1)
    eyes = Eyes(WIDTHS, 5)
    torch.manual_seed(1)
    pyramid = Pyramid(WIDTHS)
    names = list(pyramid.state_dict())
    # The names and the order that trained files and seeds were made with.
    assert list(eyes.state_dict())[: len(names) + 1] == ["kinds", *names]
    lightness = torch.rand(2, 1, 32, 32) * 100
    assert all(torch.equal(mine, own) for mine, own in zip(eyes(lightness).levels, pyramid(lightness), strict=True))
