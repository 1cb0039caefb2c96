"""Convolutions written for processors: the same arithmetic as PyTorch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kinochrome.nets.block import to_few


@pytest.mark.parametrize("channels", [1, 3])
def test_few_channels_are_what_the_convolution_says(channels: int) -> None:
    torch.manual_seed(channels)
    convolution, x = nn.Conv2d(5, channels, 3, padding=1), torch.randn(2, 5, 7, 9, requires_grad=True)
    found, wanted = to_few(convolution, x), convolution(x)
    assert torch.allclose(found, wanted, atol=1e-5)
    gradients = [torch.autograd.grad(said.square().sum(), [x, *convolution.parameters()]) for said in (found, wanted)]
    assert all(torch.allclose(one, other, atol=1e-3) for one, other in zip(*gradients, strict=True))


def test_few_channels_of_half_precision_are_added_in_full() -> None:
    convolution, x = nn.Conv2d(16, 1, 3, padding=1), torch.randn(1, 16, 8, 8)
    wanted = convolution(x)
    found = to_few(convolution.bfloat16(), x.bfloat16())
    assert found.dtype == torch.float32
    assert (found - wanted).abs().max() < 0.03
