"""Fréchet Inception Distance (Heusel et al. 2017): how unlike the frames are as a whole, pair by pair or not."""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np
import torch
from torch.nn import functional

from kinochrome import weights
from kinochrome.nets.imagenet import DEVIATION, MEAN
from kinochrome.nets.inception import Inception, Variant

from .metric import Metric
from .picture import Picture
from .score import Pair

SIDE = 299

WEIGHTS: dict[Variant, str] = {"torchvision": "inception_v3", "tensorflow": "inception_v3_fid"}


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float | None:
    """Between Gaussians fitted to samples (n, d) and (m, d); None for fewer than two samples, which have no covariance.

    |mean - mean'|^2 + tr(C) + tr(C') - 2 tr((C C')^1/2). With C = R^T R and C' = S^T S the eigenvalues of C C' are the
    squared singular values of R S^T: no root of a matrix is taken, which would be inexact where samples are fewer than
    dimensions and the covariances singular.
    """
    if min(len(first), len(second)) < 2:
        return None
    apart = first.mean(axis=0, dtype=np.float64) - second.mean(axis=0, dtype=np.float64)
    one, other = _root_of_covariance(first), _root_of_covariance(second)
    overlap = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    return float(apart @ apart + np.square(one).sum() + np.square(other).sum() - 2 * overlap)


def _root_of_covariance(samples: np.ndarray) -> np.ndarray:
    """R (min(n, d), d) with R^T R the covariance of samples (n, d), divided by n - 1."""
    centred = samples - samples.mean(axis=0, dtype=np.float64)
    root: np.ndarray = np.linalg.qr(centred / np.sqrt(len(samples) - 1), mode="r")  # type: ignore[assignment]
    return root


class Fid(Metric):
    """Gathers the features of a clip's frames; no frame has a figure of its own."""

    variant: ClassVar[Variant]
    pooled: ClassVar[bool] = False
    """Clips have no figure either: `pool` makes one of what all of them `gathered`."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.network = network(self.variant, device)
        self.features: list[np.ndarray] = []

    def of(self, pair: Pair) -> float | None:
        self.features.append(np.stack([features(self.network, picture) for picture in (pair.truth, pair.result)]))
        return None

    def finish(self) -> float | None:
        return None if self.pooled else self.pool([self.gathered()])

    def gathered(self) -> np.ndarray:
        """(n, 2, 2048) float32: of n frames, the true one and the result's."""
        return np.stack(self.features) if self.features else np.empty((0, 2, 2048), np.float32)

    @staticmethod
    def pool(clips: list[np.ndarray]) -> float | None:
        """The figure of all that these clips gathered."""
        together = np.concatenate(clips)
        return frechet_distance(together[:, 0], together[:, 1])


class FidClipTv(Fid):
    """As in ColorMNet's script: torchvision's weights, a clip at a time; far from any other FID (see `scaled`)."""

    variant = "torchvision"
    needs = frozenset({"weights:inception_v3"})


class FidAllTv(FidClipTv):
    """The same over all clips together, as in DDColor's script."""

    pooled = True


class FidAllTf(Fid):
    """The usual FID: TensorFlow's weights, all clips together."""

    variant = "tensorflow"
    needs = frozenset({"weights:inception_v3_fid"})
    pooled = True


@functools.lru_cache(maxsize=2)
def network(variant: Variant, device: str) -> Inception:
    """Inception with the public weights; an error where they are missing."""
    return weights.load(lambda: Inception(variant), WEIGHTS[variant], device)


def scaled(rgb: torch.Tensor, variant: Variant) -> torch.Tensor:
    """R'G'B' 0..1 (n, 3, h, w) as the network is given them.

    TensorFlow's sees -1..1. The scripts with torchvision's weights undo a normalisation that they never did: theirs
    sees red as -0.03..0.43, the others alike, so that its figures compare with each other only.
    """
    if variant == "tensorflow":
        return rgb * 2 - 1
    mean, deviation = (rgb.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return (rgb * deviation + mean - 0.5) / 0.5


@functools.lru_cache(maxsize=4)
def features(inception: Inception, picture: Picture) -> np.ndarray:
    """(2048,) float32, of the frame as an 8-bit file, squeezed to 299 x 299 without smoothing, as public scripts do."""
    rgb = torch.from_numpy(picture.quantised).permute(2, 0, 1)[None].to(inception.fc.weight.device)
    small = functional.interpolate(rgb, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    with torch.inference_mode():
        return inception.pooled(scaled(small, inception.variant))[0].cpu().numpy()
