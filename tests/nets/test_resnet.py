"""What blocks of ResNet put out part-way: of the right size, as reckoned from the tensors alone, and no more is run."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from kinochrome.nets.imagenet import normalized
from kinochrome.nets.resnet import BLOCKS, ResNet

from .test_public_names import picture

WANTED = [(1, 2), (2, 3), (3, 3), (3, 19)]
"""Four blocks in three stages; the last is not the end of its stage."""


def on_paper(depth: int = 101) -> ResNet:
    with torch.device("meta"):
        return ResNet(depth)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "pooled", "expected"),
    [
        ((64, 96), False, [(32, 48), (16, 24), (8, 12)]),
        ((64, 96), True, [(16, 24), (8, 12), (4, 6)]),
        ((45, 37), False, [(23, 19), (12, 10), (6, 5)]),
        ((45, 37), True, [(12, 10), (6, 5), (3, 3)]),
        ((1, 1), False, [(1, 1), (1, 1), (1, 1)]),
    ],
)
def test_shapes(size: tuple[int, int], pooled: bool, expected: list[tuple[int, int]]) -> None:
    found = on_paper().activations(torch.empty(2, 3, *size, device="meta"), WANTED, pooled)
    first, second, third = expected
    assert [tuple(one.shape) for one in found] == [
        (2, channels, *size)
        for channels, size in zip((256, 512, 1024, 1024), (first, second, third, third), strict=True)
    ]


# --- By hand ---


def block_by_hand(tensors: dict[str, Tensor], name: str, seen: Tensor, stride: int) -> Tensor:
    def normed(x: Tensor, conv: str, bn: str, stride: int = 1, padding: int = 0) -> Tensor:
        x = functional.conv2d(x, tensors[f"{name}.{conv}.weight"], None, stride, padding)
        mean, var, weight, bias = (
            tensors[f"{name}.{bn}.{kind}"][:, None, None] for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    change = normed(seen, "conv1", "bn1").clamp(min=0)
    change = normed(change, "conv2", "bn2", stride, 1).clamp(min=0)
    change = normed(change, "conv3", "bn3")
    if f"{name}.downsample.0.weight" in tensors:
        seen = normed(seen, "downsample.0", "downsample.1", stride)
    return (seen + change).clamp(min=0)


def by_hand(network: ResNet, rgb: Tensor, pooled: bool) -> dict[tuple[int, int], Tensor]:
    """What every block of the first three stages puts out, from the tensors' names alone."""
    tensors = network.state_dict()
    seen = functional.conv2d(normalized(rgb), tensors["conv1.weight"], None, 2, 3)
    bn = [tensors[f"bn1.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")]
    seen = functional.batch_norm(seen, *bn).clamp(min=0)
    if pooled:
        seen = functional.max_pool2d(seen, 3, 2, 1)
    found = {}
    for stage, count in enumerate(BLOCKS[101][:3], 1):
        for number in range(count):
            stride = 2 if stage > 1 and number == 0 else 1
            seen = block_by_hand(tensors, f"layer{stage}.{number}", seen, stride)
            found[stage, number + 1] = seen
    return found


@pytest.fixture(scope="module")
def network() -> ResNet:
    """One of random numbers, whose figures neither vanish nor explode on their way through thirty blocks."""
    made = on_paper().to_empty(device="cpu").eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for name, tensor in made.state_dict().items():
        if tensor.dim() > 1:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif name.endswith(("weight", "running_var")):
            tensor.uniform_(0.5, 1, generator=generator)
        elif tensor.is_floating_point():
            tensor.uniform_(-0.2, 0.2, generator=generator)
    return made


@pytest.mark.parametrize("pooled", [False, True])
def test_activations_by_hand(network: ResNet, pooled: bool) -> None:
    rgb = picture(21, 34)
    expected = by_hand(network, rgb, pooled)
    for place, found in zip(WANTED, network.activations(rgb, WANTED, pooled), strict=True):
        scale = float(expected[place].abs().max())
        assert 1e-3 < scale < 1e9 and found.min() >= 0
        torch.testing.assert_close(found, expected[place], rtol=1e-4, atol=1e-4 * scale)


def test_they_come_in_the_order_of_the_wish(network: ResNet) -> None:
    rgb = picture(16, 16)
    first, second = network.activations(rgb, [(1, 1), (2, 1)])
    back = network.activations(rgb, [(2, 1), (1, 1), (2, 1)])
    assert all(torch.equal(found, one) for found, one in zip(back, (second, first, second), strict=True))


def test_stages_are_their_last_blocks_pooled(network: ResNet) -> None:
    rgb = picture(21, 34)
    expected = by_hand(network, rgb, pooled=True)
    found = network.stages(rgb)
    assert len(found) == 4 and torch.equal(found[3], network.layer4(found[2]))
    for place, stage in zip([(1, 3), (2, 4), (3, 23)], found, strict=False):
        scale = float(expected[place].abs().max())
        torch.testing.assert_close(stage, expected[place], rtol=1e-4, atol=1e-4 * scale)


# --- No more than is asked for ---


class Never(nn.Module):
    def forward(self, seen: Tensor) -> Tensor:
        raise AssertionError("a block behind the last one wanted was run")


def test_no_block_behind_the_last_is_run() -> None:
    net, rgb = on_paper(), torch.empty(1, 3, 32, 32, device="meta")
    net.layer3[19], net.layer4[0] = Never(), Never()
    assert len(net.activations(rgb, WANTED, pooled=False)) == 4
    with pytest.raises(AssertionError, match="behind the last"):
        net.activations(rgb, [(3, 20)])


def test_what_is_not_run_may_be_cut() -> None:
    net, rgb = on_paper(), torch.empty(1, 3, 32, 32, device="meta")
    net.layer3 = net.layer3[:19]  # type: ignore[assignment]
    del net.layer4, net.fc
    assert [one.shape[1] for one in net.activations(rgb, WANTED)] == [256, 512, 1024, 1024]
    assert net.state_dict().keys() < on_paper().state_dict().keys()


def test_a_block_that_is_not_there() -> None:
    with pytest.raises(KeyError, match=r"\(3, 19\)"):
        on_paper(50).activations(torch.empty(1, 3, 64, 64, device="meta"), WANTED)
