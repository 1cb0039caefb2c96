"""FID: the distance against scipy and known Gaussians, the metrics on a tiny network, Inception once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import nn

from kinochrome.errors import WeightsError
from kinochrome.metrics import fid, load
from kinochrome.metrics.picture import Picture
from kinochrome.metrics.score import Score, Truth
from tests.nets.test_public_names import filled, on_paper

from .clips import noisy, panned, texture
from .judges import no_weights  # noqa: F401

NAMES = ("fid_all_tf", "fid_all_tv", "fid_clip_tv")


def samples(count: int, size: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(count, size)) @ random.normal(size=(size, size)) + random.normal(size=size)


def by_scipy(first: np.ndarray, second: np.ndarray) -> float:
    apart = first.mean(axis=0) - second.mean(axis=0)
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    return float(apart @ apart + np.trace(one + other - 2 * linalg.sqrtm(one @ other).real))


@pytest.mark.parametrize(("first", "second", "size"), [(200, 200, 8), (40, 90, 20), (3000, 30, 5)])
def test_distance_as_scipy_has_it(first: int, second: int, size: int) -> None:
    one, other = samples(first, size, 0), samples(second, size, 1)
    assert fid.frechet_distance(one, other) == pytest.approx(by_scipy(one, other), rel=1e-8)


def test_fewer_samples_than_dimensions() -> None:
    one, other = samples(6, 40, 0), samples(9, 40, 1)
    covariances = [np.cov(each, rowvar=False) for each in (one, other)]
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(0)).sum()
    apart = one.mean(axis=0) - other.mean(axis=0)
    expected = apart @ apart + sum(np.trace(each) for each in covariances) - 2 * roots
    assert fid.frechet_distance(one, other) == pytest.approx(expected, rel=1e-5)


def test_distance_of_known_gaussians() -> None:
    rng = np.random.default_rng(2)
    exact, _ = np.linalg.qr(rng.normal(size=(50, 4)) - 0)
    exact = exact - exact.mean(axis=0)
    exact = exact @ np.linalg.inv(np.linalg.cholesky(np.cov(exact, rowvar=False))).T  # covariance: the identity
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    spread, other_spread, shift = np.array([1, 2, 3, 4]), np.array([2, 2, 1, 0]), np.array([0, 3, 0, 4])
    one, other = exact * spread @ turn, (exact[::-1] * other_spread + shift) @ turn
    # Covariances that share their axes: |shift|^2 and the squared differences of the spreads.
    assert fid.frechet_distance(one, other) == pytest.approx(25 + 1 + 0 + 4 + 16)


def test_distance_is_zero_to_itself_symmetric_and_undefined_for_one_sample() -> None:
    one, other = samples(30, 60, 0), samples(50, 60, 1)
    assert fid.frechet_distance(one, one) == pytest.approx(0, abs=1e-8)
    assert fid.frechet_distance(one, other) == pytest.approx(fid.frechet_distance(other, one))
    assert fid.frechet_distance(one[:1], other) is None and fid.frechet_distance(one, other[:0]) is None


class Means(nn.Module):
    """Four by four means of each channel: 48 features."""

    def __init__(self, variant: fid.Variant) -> None:
        super().__init__()
        self.variant, self.fc = variant, nn.Linear(1, 1)
        self.seen: list[torch.Tensor] = []

    def pooled(self, seen: torch.Tensor) -> torch.Tensor:
        self.seen.append(seen)
        return nn.functional.adaptive_avg_pool2d(seen, 4).flatten(1)


@pytest.fixture
def means(no_weights: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Means]:  # noqa: F811
    networks = {variant: Means(variant) for variant in fid.WEIGHTS}
    monkeypatch.setattr(fid, "network", lambda variant, device: networks[variant])
    return networks


def scored(film: list[np.ndarray], results: list[np.ndarray]) -> Score:
    truth, score = Truth(), Score(NAMES)
    for index, (true, result) in enumerate(zip(film, results, strict=True)):
        assert set(score.add(truth.show(index, true), result).values()) == {None}
    return score


def pooled_features(variant: fid.Variant, frames: list[np.ndarray]) -> np.ndarray:
    network = Means(variant)
    rgb = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2) / 255
    rgb = nn.functional.interpolate(rgb, size=(299, 299), mode="bilinear")
    if variant == "tensorflow":
        return network.pooled(2 * rgb - 1).numpy()
    red, green, blue = (rgb[:, channel] for channel in range(3))  # the arithmetic of the public scripts
    red = red * (0.229 / 0.5) + (0.485 - 0.5) / 0.5
    green = green * (0.224 / 0.5) + (0.456 - 0.5) / 0.5
    blue = blue * (0.225 / 0.5) + (0.406 - 0.5) / 0.5
    return network.pooled(torch.stack([red, green, blue], dim=1)).numpy()


def test_a_clips_figure_and_the_pooled_ones(means: dict[str, Means]) -> None:
    films = [panned(5, seed=seed) for seed in (0, 7)]
    results = [noisy(film, 60, seed) for seed, film in enumerate(films)]
    scores = [scored(film, result) for film, result in zip(films, results, strict=True)]
    for score, film, result in zip(scores, films, results, strict=True):
        expected = fid.frechet_distance(*(pooled_features("torchvision", frames) for frames in (film, result)))
        figures = score.finish()
        assert figures["fid_clip_tv"] == pytest.approx(expected, rel=1e-3) and expected > 0
        assert figures["fid_all_tv"] is None and figures["fid_all_tf"] is None
    for name, variant in (("fid_all_tv", "torchvision"), ("fid_all_tf", "tensorflow")):
        kind = load(name)
        assert kind.pooled  # type: ignore[attr-defined]
        figure = kind.pool([score.metrics[name].gathered() for score in scores])  # type: ignore[attr-defined]
        true, seen = (pooled_features(variant, [*clips[0], *clips[1]]) for clips in (films, results))
        assert figure == pytest.approx(fid.frechet_distance(true, seen), rel=1e-3)


def test_frames_are_looked_at_once_by_each_network(means: dict[str, Means]) -> None:
    film = panned(3)
    scored(film, noisy(film, 9))
    assert {variant: len(network.seen) for variant, network in means.items()} == {"torchvision": 6, "tensorflow": 6}


def test_clips_too_short_to_have_a_covariance(means: dict[str, Means]) -> None:
    film = panned(1)
    assert scored(film, film).finish()["fid_clip_tv"] is None
    unused = load("fid_clip_tv")()
    assert unused.finish() is None and unused.gathered().shape == (0, 2, 2048)  # type: ignore[attr-defined]


def test_what_the_networks_are_given() -> None:
    rgb = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1)
    assert fid.scaled(rgb, "tensorflow").flatten().tolist() == [-1, 0, 1]
    assert fid.scaled(rgb, "torchvision").flatten().tolist() == pytest.approx(
        [-0.03, 0.5 * 0.448 - 0.088, 0.45 - 0.188], abs=1e-6
    )


def test_inceptions_features_of_a_frame(no_weights: None) -> None:  # noqa: F811
    network = filled(on_paper("inception_v3_fid"))
    frame = Picture(texture())
    seen = fid.features(network, frame)  # type: ignore[arg-type]
    assert seen.shape == (2048,) and seen.dtype == np.float32 and np.isfinite(seen).all() and seen.std() > 0
    assert fid.features(network, frame) is seen, "remembered"  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_without_weights_the_command_is_told(name: str, no_weights: None) -> None:  # noqa: F811
    with pytest.raises(WeightsError, match="kinochrome weights get inception_v3"):
        load(name)()
