"""Warp error: how much a film changes along its motion. Five definitions, no two of them on one scale."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np

from .metric import Metric
from .motion import Motion, agreeing, moving_as_one
from .score import Pair


class AlongTrueMotion(Metric):
    """A metric of the change between a frame and the next along the motion of the true colour film."""

    needs: ClassVar = frozenset({"flow"})

    def of(self, pair: Pair) -> float | None:
        return None if pair.motion is None else self.change(pair, pair.motion)

    def change(self, pair: Pair, motion: Motion) -> float | None:
        """The figure of a frame that has one before it."""
        raise NotImplementedError


class WarpError(AlongTrueMotion):
    """Mean squared change of R'G'B' 0..1, over channels and the pixels that stay in sight, a pair of frames."""

    def change(self, pair: Pair, motion: Motion) -> float | None:
        return _mean_square(pair.drift, motion.seen)


class WarpErrorAb(AlongTrueMotion):
    """Mean squared change of a* and b*, over both and the same pixels."""

    def change(self, pair: Pair, motion: Motion) -> float | None:
        square = _mean_square(pair.ab_drift, motion.seen)
        return None if square is None else square / 2


class WarpErrorLai(AlongTrueMotion):
    """As Lai et al. 2018: 8-bit frames, pixels that leave the picture count, a pair that shows nothing counts 0."""

    def change(self, pair: Pair, motion: Motion) -> float:
        return _mean_square(pair.quantised_drift, motion.clear) or 0.0


class WarpErrorSurvey(AlongTrueMotion):
    """Mean length of the change of R'G'B' 0..1, not squared, over the pixels that Lai's mask keeps."""

    def change(self, pair: Pair, motion: Motion) -> float | None:
        if not motion.clear.any():
            return None
        red, green, blue = cv2.split(pair.drift)
        return cv2.mean(cv2.magnitude(cv2.magnitude(red, green), blue), motion.clear)[0]


class WarpErrorVcgan(Metric):
    """As VCGAN's script: motion of the result itself, both flows added without warping, three channels summed.

    The frame before is warped by the flow that leads away from it, as the script does.
    """

    needs: ClassVar = frozenset({"own_flow"})

    def of(self, pair: Pair) -> float | None:
        motion = pair.own_motion
        if motion is None or pair.before is None:
            return None
        clear = agreeing(motion.there, motion.back) & moving_as_one(motion.back)
        change = motion.along(pair.before.quantised)
        change -= pair.result.quantised
        mean = _mean_square(change, clear)
        return None if mean is None else 3 * mean


def _mean_square(change: np.ndarray, where: np.ndarray) -> float | None:
    """Over channels, if there are, and the pixels picked by `where` (h, w) uint8; None where it picks none."""
    count = cv2.countNonZero(where) * (change.size // where.size)
    return cv2.norm(change, cv2.NORM_L2SQR, where) / count if count else None
