"""top1 and top5, with a classifier that anyone can follow."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kinochrome.errors import WeightsError
from kinochrome.metrics import load, top
from kinochrome.metrics.score import Score, Truth

from .clips import flat, pair_of, texture
from .judges import no_weights  # noqa: F401


class Brightness(nn.Module):
    """Ten classes: how near the mean is to a tenth, two tenths, …"""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.Parameter(torch.arange(10) / 10, requires_grad=False)
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(rgb.shape))
        return -(rgb.mean(dim=(1, 2, 3))[:, None] - self.levels).abs()


@pytest.fixture
def brightness(no_weights: None, monkeypatch: pytest.MonkeyPatch) -> Brightness:  # noqa: F811
    network = Brightness()
    monkeypatch.setattr(top, "classifier", lambda device: network)
    return network


@pytest.mark.parametrize(("seen", "first", "fifth"), [(0.31, 1, 1), (0.38, 0, 1), (0.49, 0, 1), (0.95, 0, 0)])
def test_the_true_class_among_the_likeliest(brightness: Brightness, seen: float, first: int, fifth: int) -> None:
    pair = pair_of(flat(seen, seen, seen), flat(0.3, 0.3, 0.3))
    assert load("top1")().of(pair) == first
    assert load("top5")().of(pair) == fifth


def test_the_clips_figure_is_a_share_and_frames_are_seen_once(brightness: Brightness) -> None:
    truth, score = Truth(), Score(["top1", "top5"])
    for index, value in enumerate((0.3, 0.38, 0.95, 0.3)):
        row = score.add(truth.show(index, flat(0.3, 0.3, 0.3)), flat(value, value, value))
        assert set(row.values()) <= {0.0, 1.0}
    assert score.finish() == {"top1": 0.5, "top5": 0.75}
    assert brightness.shapes == [(1, 3, 224, 224)] * 8


def test_frames_are_squeezed_with_smoothing(brightness: Brightness) -> None:
    seen: list[torch.Tensor] = []
    brightness.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    stripes = flat(0, 0, 255, size=(448, 672))
    stripes[:, ::3] = 255
    load("top1")().of(pair_of(stripes, texture()))
    inner = seen[1][0, :, 8:-8, 8:-8]  # three columns become one: without smoothing some would stay blue
    assert float(inner[0].min()) == pytest.approx(1 / 3, abs=0.12) and float(inner[2].min()) == pytest.approx(1)


def test_without_weights_the_command_is_told(no_weights: None) -> None:  # noqa: F811
    for name in ("top1", "top5"):
        with pytest.raises(WeightsError, match="kinochrome weights get vgg16"):
            load(name)()
