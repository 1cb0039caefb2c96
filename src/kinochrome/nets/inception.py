"""Inception v3 (Szegedy and others 2016) with torchvision's tensor names, and the variant behind the usual FID.

That variant is TensorFlow's graph of 2015-12-05: 1008 classes, no auxiliary head, average pooling that leaves the
border out of its count, and one maximum where the paper averages. Its public PyTorch weights bear the same names.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Variant = Literal["torchvision", "tensorflow"]

Kernel = int | tuple[int, int]

Unit = tuple[str, int, Kernel]
"""Name, channels out, kernel."""

Chain = tuple[Unit | tuple[Unit, Unit], ...]
"""Units one after the other; a pair of units both read the unit before it."""


class Convolution(nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Kernel, stride: int = 1, pad: bool = True) -> None:
        """`pad`: keep the size (at stride 1)."""
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (height // 2, width // 2) if pad else 0
        self.conv = nn.Conv2d(inputs, outputs, (height, width), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(seen)).relu()


class Mixed(nn.Module):
    """Chains of convolutions beside a pooling, put together: (n, inputs, h, w) to (n, self.outputs, h', w')."""

    def __init__(self, inputs: int, chains: tuple[Chain, ...], pooled: int, pooling: str) -> None:
        """`pooled`: channels that the pooling is brought to; 0 leaves it as it is. `pooling`: see `_pool`."""
        super().__init__()
        self.chains, self.pooled, self.pooling = chains, pooled, pooling
        stride = 2 if pooling == "halve" else 1
        self.outputs = pooled or inputs
        for chain in chains:
            channels = inputs
            for place, step in enumerate(chain, 1):
                last = place == len(chain)
                units: tuple = step if isinstance(step[0], tuple) else (step,)
                for name, outputs, kernel in units:
                    halving = last and stride == 2
                    unit = Convolution(channels, outputs, kernel, stride if last else 1, pad=not halving)
                    self.add_module(name, unit)
                    self.outputs += outputs if last else 0
                channels = units[0][1]
        if pooled:
            self.branch_pool = Convolution(inputs, pooled, 1)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        outputs = []
        for chain in self.chains:
            reached = [seen]
            for step in chain:
                units: tuple = step if isinstance(step[0], tuple) else (step,)
                reached = [self.get_submodule(name)(reached[0]) for name, *_ in units]
            outputs += reached
        pool = _pool(seen, self.pooling)
        return torch.cat([*outputs, self.branch_pool(pool) if self.pooled else pool], dim=1)


def _pool(seen: torch.Tensor, pooling: str) -> torch.Tensor:
    """3 x 3: `halve` is the maximum at stride 2; the others keep the size; `average inside` leaves the border out."""
    if pooling == "halve":
        return functional.max_pool2d(seen, 3, stride=2)
    if pooling == "maximum":
        return functional.max_pool2d(seen, 3, stride=1, padding=1)
    return functional.avg_pool2d(seen, 3, stride=1, padding=1, count_include_pad=pooling == "average")


def _mixed_5(inputs: int, pooled: int, pooling: str) -> Mixed:
    chains: tuple[Chain, ...] = (
        (("branch1x1", 64, 1),),
        (("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)),
        (("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)),
    )
    return Mixed(inputs, chains, pooled, pooling)


def _mixed_6a() -> Mixed:
    chains: tuple[Chain, ...] = (
        (("branch3x3", 384, 3),),
        (("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)),
    )
    return Mixed(288, chains, 0, "halve")


def _mixed_6(width: int, pooling: str) -> Mixed:
    double: list[Unit] = [("branch7x7dbl_1", width, 1), ("branch7x7dbl_2", width, (7, 1))]
    double += [("branch7x7dbl_3", width, (1, 7)), ("branch7x7dbl_4", width, (7, 1)), ("branch7x7dbl_5", 192, (1, 7))]
    chains: tuple[Chain, ...] = (
        (("branch1x1", 192, 1),),
        (("branch7x7_1", width, 1), ("branch7x7_2", width, (1, 7)), ("branch7x7_3", 192, (7, 1))),
        tuple(double),
    )
    return Mixed(768, chains, 192, pooling)


def _mixed_7a() -> Mixed:
    long: list[Unit] = [("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7))]
    long += [("branch7x7x3_3", 192, (7, 1)), ("branch7x7x3_4", 192, 3)]
    return Mixed(768, ((("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)), tuple(long)), 0, "halve")


def _mixed_7(inputs: int, pooling: str) -> Mixed:
    chains: tuple[Chain, ...] = (
        (("branch1x1", 320, 1),),
        (("branch3x3_1", 384, 1), (("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1)))),
        (
            *(("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3)),
            (("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))),
        ),
    )
    return Mixed(inputs, chains, 192, pooling)


class Inception(nn.Module):
    """What Inception v3 sees in pictures (n, 3, h, w) scaled to -1..1; 299 x 299 in training, at least 75 x 75."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant: Variant = variant
        theirs = variant == "tensorflow"
        average = "average inside" if theirs else "average"
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2, pad=False)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3, pad=False)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3, pad=False)
        self.Mixed_5b = _mixed_5(192, 32, average)
        self.Mixed_5c = _mixed_5(256, 64, average)
        self.Mixed_5d = _mixed_5(288, 64, average)
        self.Mixed_6a = _mixed_6a()
        self.Mixed_6b = _mixed_6(128, average)
        self.Mixed_6c = _mixed_6(160, average)
        self.Mixed_6d = _mixed_6(160, average)
        self.Mixed_6e = _mixed_6(192, average)
        if not theirs:
            # Only training runs it; it is here so that the public file loads strictly.
            head = {"conv0": Convolution(768, 128, 1), "conv1": Convolution(128, 768, 5, pad=False)}
            self.AuxLogits = nn.ModuleDict({**head, "fc": nn.Linear(768, 1000)})
        self.Mixed_7a = _mixed_7a()
        self.Mixed_7b = _mixed_7(1280, average)
        self.Mixed_7c = _mixed_7(2048, "maximum" if theirs else average)
        self.fc = nn.Linear(2048, 1008 if theirs else 1000)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Class scores (n, 1000), or (n, 1008) of TensorFlow's."""
        return self.fc(self.pooled(seen))

    def pooled(self, seen: torch.Tensor) -> torch.Tensor:
        """Features (n, 2048) before the last layer."""
        seen = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(seen)))
        seen = functional.max_pool2d(seen, 3, stride=2)
        seen = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(seen))
        seen = functional.max_pool2d(seen, 3, stride=2)
        for block in (self.Mixed_5b, self.Mixed_5c, self.Mixed_5d):
            seen = block(seen)
        for block in (self.Mixed_6a, self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e):
            seen = block(seen)
        for block in (self.Mixed_7a, self.Mixed_7b, self.Mixed_7c):
            seen = block(seen)
        return seen.mean(dim=(2, 3))
