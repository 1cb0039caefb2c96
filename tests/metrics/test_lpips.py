"""LPIPS: against its formula written out, on random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from kinochrome import weights
from kinochrome.errors import VideoError, WeightsError
from kinochrome.metrics import METRICS, load, lpips
from kinochrome.metrics.score import Score, Truth
from kinochrome.nets.imagenet import normalized

from .clips import noisy, pair_of, panned, texture
from .judges import no_weights, shares_of, squeezed  # noqa: F401

NAMES = ("lpips_alex", "lpips_squeeze", "lpips_u8raw", "lpips_vgg")


def small_judge() -> lpips.Judge:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU())
    return lpips.Judge(layers.requires_grad_(False), (1, 4), [torch.rand(1, count, 1, 1) for count in (4, 6)])


def by_hand(judge: lpips.Judge, first: np.ndarray, second: np.ndarray) -> float:
    """Pixel by pixel, in double precision."""
    total = 0.0
    answers = []
    for rgb in (first, second):
        seen = normalized(torch.from_numpy(rgb).permute(2, 0, 1)[None].double())
        layers = nn.Sequential(*judge.features).double()
        answers.append([layers[: index + 1](seen)[0].numpy() for index in judge.layers])
        layers.float()
    for one, other, share in zip(*answers, judge.shares, strict=True):
        _, height, width = one.shape
        for row in range(height):
            for column in range(width):
                a, b = one[:, row, column], other[:, row, column]
                unlike = a / (np.sqrt((a * a).sum()) + 1e-10) - b / (np.sqrt((b * b).sum()) + 1e-10)
                total += float((unlike**2 * share.double().flatten().numpy()).sum()) / (height * width)
    return total


def test_the_formula_by_hand() -> None:
    judge = small_judge()
    first, second = (np.random.default_rng(seed).random((32, 35, 3)).astype(np.float32) for seed in (1, 2))
    expected = by_hand(judge, first, second)
    assert judge.distance(judge.look(first), judge.look(second)) == pytest.approx(expected, rel=1e-4)
    assert expected > 0.01


def test_pixels_that_no_channel_answers_to_count_nothing() -> None:
    judge = small_judge()
    black = [torch.zeros(1, count, 2, 2) for count in (4, 6)]
    judge.features = nn.Sequential(*(nn.Identity() if index else nn.Conv2d(3, 4, 1) for index in range(5)))
    assert judge.distance(black, black) == 0


@pytest.mark.parametrize("name", lpips.TRUNKS)
def test_the_layers_that_are_compared(name: str) -> None:
    trunk = lpips.TRUNKS[name]
    with torch.device("meta"):
        features, seen = trunk.build().features, torch.empty(1, 3, 64, 64)
    channels = [features[: layer + 1](seen).shape[1] for layer in trunk.layers]
    assert tuple(channels) == trunk.channels
    kinds = {type(features[layer]).__name__ for layer in trunk.layers}
    assert kinds <= {"ReLU", "Fire"}, "after an activation, never before"


def test_shares_bear_the_public_names() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in shares_of("alex").items()}
    assert shapes == {
        f"lin{number}.model.1.weight": (1, count, 1, 1) for number, count in enumerate((64, 192, 384, 256, 256))
    }
    assert len(shares_of("squeeze")) == 7


def test_distance_of_equal_and_of_ever_noisier_frames(squeezed: None) -> None:  # noqa: F811
    frame = texture()
    metric = load("lpips_squeeze")()
    assert metric.of(pair_of(frame, frame)) == 0
    figures = [metric.of(pair_of(noisy([frame], size)[0], frame)) for size in (4, 16, 64)]
    assert figures == sorted(figures) and figures[0] > 0
    assert metric.of(pair_of(frame, noisy([frame], 16)[0])) == pytest.approx(figures[1], rel=1e-4)


def test_a_clip_and_its_truth_looked_at_once(squeezed: None) -> None:  # noqa: F811
    film = panned(3)
    looks: list[object] = []
    lpips.judge("squeeze", "cpu").features[0].register_forward_hook(lambda *_: looks.append(1))
    truth, scores = Truth(), [Score(["lpips_squeeze"]), Score(["lpips_squeeze"])]
    for index, frame in enumerate(film):
        moment = truth.show(index, frame)
        scores[0].add(moment, noisy([frame], 9)[0])
        scores[1].add(moment, noisy([frame], 30)[0])
    figures = [score.finish()["lpips_squeeze"] for score in scores]
    assert 0 < figures[0] < figures[1]
    assert len(looks) == 3 * (1 + 2)


def test_u8raw_hands_codes_over_as_if_they_were_scaled(squeezed: None) -> None:  # noqa: F811
    codes = texture()
    first = torch.from_numpy(codes).permute(2, 0, 1).float()
    # LPIPS's own first layer, on what it takes for -1..1.
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    expected = (first - shift[:, None, None]) / scale[:, None, None]
    given = torch.from_numpy(lpips.as_if_scaled(codes)).permute(2, 0, 1)
    assert torch.allclose(normalized(given), expected, rtol=1e-5, atol=1e-3)
    raw, right = load("lpips_u8raw")(), load("lpips_alex")()
    pair = pair_of(noisy([codes], 30)[0], codes)
    assert raw.of(pair) != pytest.approx(right.of(pair), rel=0.05)
    judge = lpips.judge("alex", "cpu")
    looks = [judge.look((frame.given + np.float32(1)) / 2) for frame in (pair.truth, pair.result)]
    assert raw.of(pair) == pytest.approx(judge.distance(*looks), rel=1e-5)


def test_frames_too_small(squeezed: None) -> None:  # noqa: F811
    small = texture(20, 64)
    with pytest.raises(VideoError, match="64x20 is too small for LPIPS"):
        load("lpips_squeeze")().of(pair_of(small, small))
    edge = texture(32, 32)
    assert load("lpips_squeeze")().of(pair_of(edge, edge)) == 0


@pytest.mark.parametrize("name", NAMES)
def test_without_weights_the_command_is_told(name: str, no_weights: None) -> None:  # noqa: F811
    with pytest.raises(WeightsError, match="kinochrome weights get"):
        load(name)()


@pytest.mark.parametrize("name", METRICS)
def test_the_weights_that_metrics_need_are_in_the_catalogue(name: str) -> None:
    for need in load(name).needs:
        if need.startswith("weights:"):
            assert name in weights.published(need.removeprefix("weights:")).purpose.split(", ")


@pytest.mark.parametrize("name", weights.CATALOGUE)
def test_the_catalogue_names_metrics_that_need_its_files(name: str) -> None:
    for word in weights.CATALOGUE[name].purpose.split(", "):
        if word in METRICS:
            assert f"weights:{name}" in load(word).needs
