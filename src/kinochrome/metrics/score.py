"""One pass over a clip: the true film, the results beside it, and every metric of every result.

    truth = Truth()
    scores = {"flow": Score(["psnr", "cdc"]), "truth": Score(["psnr", "cdc"])}
    for index, true, result in clip:
        moment = truth.show(index, true)
        scores["flow"].add(moment, result)
        scores["truth"].add(moment, moment.picture)
    print(scores["flow"].finish())

Memory hardly depends on the clip's length: what is kept is the frame before, and of each a few numbers (FID: 2048).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from kinochrome.errors import MethodError, VideoError

from . import load
from .motion import Estimate, Motion, estimate_by
from .picture import Picture, picture_of


@dataclass(frozen=True)
class Moment:
    """One frame of the true film."""

    index: int
    picture: Picture
    motion: Motion | None
    """From the frame before to this one; None for the first frame and after a gap."""


@dataclass(frozen=True)
class Pair:
    """One frame of a result and all there is to compare it with; images derived from both are computed once."""

    moment: Moment
    result: Picture
    before: Picture | None
    """The result one frame earlier; None for the first frame and after a gap."""
    draft: Picture | None
    own_motion: Motion | None
    """As `moment.motion`, but of the result itself."""

    @property
    def index(self) -> int:
        return self.moment.index

    @property
    def truth(self) -> Picture:
        return self.moment.picture

    @cached_property
    def residual(self) -> np.ndarray:
        """(h, w, 3) float32: the result's R'G'B' minus the true ones."""
        return self.result.rgb - self.truth.rgb

    @cached_property
    def mean_square(self) -> float:
        """Of `residual`, over pixels and channels."""
        return mean_square(self.residual)

    @cached_property
    def color_distance(self) -> np.ndarray:
        """(h, w) float32: how far the result's ab lies from the true one."""
        along_a, along_b = self.result.lab[1:] - self.truth.lab[1:]
        return cv2.magnitude(along_a, along_b)

    @property
    def motion(self) -> Motion | None:
        """The true film's motion from the frame before; None where film or result has no such frame."""
        return None if self.before is None else self.moment.motion

    @cached_property
    def drift(self) -> np.ndarray:
        """(h, w, 3) float32: the change of R'G'B' along `motion` (there must be one), at the frame before's grid."""
        return self._drift("rgb")

    @cached_property
    def quantised_drift(self) -> np.ndarray:
        """`drift` of 8-bit frames."""
        assert self.before is not None
        return self.drift if self.result.eight_bit and self.before.eight_bit else self._drift("quantised")

    @cached_property
    def ab_drift(self) -> np.ndarray:
        """(h, w) float32: how long the change of a*, b* along `motion` is."""
        assert self.motion is not None and self.before is not None
        moved = self.motion.planes_along([*self.result.lab[1:]])
        along_a, along_b = (now - before for now, before in zip(moved, self.before.lab[1:], strict=True))
        return cv2.magnitude(along_a, along_b)

    def _drift(self, kind: str) -> np.ndarray:
        assert self.motion is not None
        change = self.motion.along(getattr(self.result, kind))
        return np.subtract(change, getattr(self.before, kind), out=change)


class Truth:
    """The true film, shown a frame at a time; its motion is computed once for all that is scored against it."""

    def __init__(self, flow_name: str = "dis", device: str = "cpu") -> None:
        self._estimate = estimate_by(flow_name, device)
        self._last: Moment | None = None

    def show(self, index: int, rgb: np.ndarray) -> Moment:
        """The next frame: R'G'B' (h, w, 3), float32 0..1 or uint8. Indices rise; a gap breaks what spans frames."""
        picture = Picture(rgb, f"true frame {index}")
        before, self._last = self._last, Moment(index, picture, None)
        if before is None or before.index != index - 1:
            return self._last
        _check_size(picture, before.picture, f"True frame {index}", "the frame before")
        return Moment(index, picture, Motion(before.picture, picture, self._estimate))


class Score:
    """What some metrics say of one result, which may be the truth itself."""

    def __init__(self, names: Iterable[str], device: str = "cpu", own_flow_name: str = "dis_quick") -> None:
        self.metrics = {name: load(name)(device) for name in names}
        self._estimate: Estimate = estimate_by(own_flow_name)
        self._last: tuple[int, Picture] | None = None

    def add(
        self, moment: Moment, result: np.ndarray | Picture, draft: np.ndarray | Picture | None = None
    ) -> dict[str, float | None]:
        """Each metric's figure for this frame; None where it is undefined or infinite."""
        pair = self._pair(moment, picture_of(result, f"result's frame {moment.index}"), draft)
        self._last = moment.index, pair.result
        return {name: metric.add(pair) for name, metric in self.metrics.items()}

    def finish(self) -> dict[str, float | None]:
        """Each metric's figure for the clip."""
        return {name: metric.finish() for name, metric in self.metrics.items()}

    def _pair(self, moment: Moment, result: Picture, draft: np.ndarray | Picture | None) -> Pair:
        _check_size(result, moment.picture, f"Frame {moment.index} of the result", "the true one")
        if draft is None:
            for name, metric in self.metrics.items():
                if "draft" in metric.needs:
                    raise MethodError(f"{name} compares a result with its draft, and there is none: leave {name} out.")
        drafted = None if draft is None else picture_of(draft, f"draft's frame {moment.index}")
        before = self._last[1] if self._last and self._last[0] == moment.index - 1 else None
        own = Motion(before, result, self._estimate) if before else None
        return Pair(moment, result, before, drafted, own)


def mean_square(residual: np.ndarray) -> float:
    """Over all pixels and channels, summed in double precision."""
    return cv2.norm(residual, cv2.NORM_L2SQR) / residual.size


def _check_size(picture: Picture, other: Picture, name: str, other_name: str) -> None:
    mine, its = picture.given.shape[:2], other.given.shape[:2]
    if mine != its:
        raise VideoError(
            f"{name} is {mine[1]}x{mine[0]}, {other_name} {its[1]}x{its[0]}: metrics compare frames of one size only. "
            f"Write the result at the true film's size."
        )
