"""Masks against Lai's formulas written out pixel by pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from kinochrome import weights
from kinochrome.errors import MethodError, WeightsError
from kinochrome.metrics.motion import FINEST, FLOWS, Motion, agreeing, estimate_by, moving_as_one
from kinochrome.metrics.picture import Picture
from kinochrome.nets.raft import Raft

from .clips import known, moved, panned, texture
from .judges import no_weights, raft  # noqa: F401


def smooth_flow(seed: int, size: float, shape: tuple[int, int] = (12, 14)) -> np.ndarray:
    random = np.random.default_rng(seed)
    small = random.normal(0, size, (4, 5, 2)).astype(np.float32)
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC)


def clear_by_hand(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    height, width = forward.shape[:2]
    clear = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            u, v = (float(value) for value in forward[y, x])
            # The counter-flow where the pixel arrives, bilinear, the border repeated.
            to_x, to_y = min(max(x + u, 0), width - 1), min(max(y + v, 0), height - 1)
            left, top = min(int(to_x), width - 2), min(int(to_y), height - 2)
            right_share, low_share = to_x - left, to_y - top
            upper = (1 - right_share) * backward[top, left] + right_share * backward[top, left + 1]
            lower = (1 - right_share) * backward[top + 1, left] + right_share * backward[top + 1, left + 1]
            counter = (1 - low_share) * upper + low_share * lower
            length = u * u + v * v
            apart = (u + counter[0]) ** 2 + (v + counter[1]) ** 2
            occluded = apart > 0.01 * (length + counter[0] ** 2 + counter[1] ** 2) + 0.5
            gradient = 0.0
            if x + 1 < width:
                gradient += float(((forward[y, x] - forward[y, x + 1]) ** 2).sum())
            if y + 1 < height:
                gradient += float(((forward[y, x] - forward[y + 1, x]) ** 2).sum())
            clear[y, x] = not (occluded or gradient > 0.01 * length + 0.002)
    return clear


@pytest.mark.parametrize(("seed", "size"), [(0, 0.3), (1, 1.0), (2, 3.0)])
def test_the_mask_is_lais(seed: int, size: float) -> None:
    forward = smooth_flow(seed, size) + np.float32(3)
    backward = -forward + smooth_flow(seed + 9, 0.5)
    motion = known(Picture(texture(12, 14)), Picture(texture(12, 14)), forward, backward)
    expected = clear_by_hand(forward, backward)
    assert 0.02 < expected.mean() < 0.98
    # cv2's remap places pixels to 1/32: a rare one on the threshold may fall on the other side.
    assert (motion.clear.astype(bool) == expected).mean() >= 0.99


def test_flows_that_undo_each_other_agree() -> None:
    there = np.full((3, 4, 2), 10, np.float32)
    assert agreeing(cv2.split(there), cv2.split(-there)).all()
    assert agreeing(cv2.split(there), cv2.split(-there + np.float32(0.5))).all()  # 0.5 < 0.01 (200 + 180.5) + 0.5
    assert not agreeing(cv2.split(there), cv2.split(-there + np.float32(2))).any()
    assert not agreeing(cv2.split(there), cv2.split(there)).any()


def test_a_motion_boundary_is_left_out() -> None:
    motion = np.zeros((4, 6, 2), np.float32)
    motion[:, 3:, 0] = 1
    assert moving_as_one(cv2.split(motion)).tolist() == [[1, 1, 0, 1, 1, 1]] * 4


def test_how_much_of_a_step_is_a_boundary() -> None:
    """Its square beyond 0.002 and a hundredth of the motion's own."""
    for step, whole in ((0.04, True), (0.05, False)):
        motion = np.zeros((3, 4, 2), np.float32)
        motion[:, 2:] = (step, 0)
        assert bool(moving_as_one(cv2.split(motion)).all()) is whole


def test_pixels_that_leave_the_picture_are_not_seen() -> None:
    motion = moved(Picture(texture(6, 8)), Picture(texture(6, 8)), -3, 1)
    assert motion.clear.all()
    assert motion.seen.tolist() == [[0, 0, 0, 1, 1, 1, 1, 1]] * 5 + [[0] * 8]


def test_every_channel_is_moved_alike() -> None:
    image = texture(12, 14).astype(np.float32) / 255
    motion = known(Picture(texture(12, 14)), Picture(texture(12, 14)), smooth_flow(0, 2.0), smooth_flow(1, 2.0))
    down, across = np.indices(image.shape[:2])
    there = down + motion.forward[..., 1], across + motion.forward[..., 0]
    planes = [map_coordinates(plane, there, order=1, mode="nearest") for plane in cv2.split(image)]
    assert np.abs(motion.along(image) - image).max() > 0.1
    assert motion.along(image) == pytest.approx(cv2.merge(planes), abs=1e-5)
    assert np.stack(motion.planes_along(cv2.split(image)[:2])) == pytest.approx(np.stack(planes[:2]), abs=1e-5)


@pytest.mark.parametrize("name", FINEST)
def test_every_search_finds_a_pan(name: str) -> None:
    first, second = (Picture(frame) for frame in panned(2, step=3))
    motion = Motion(first, second, estimate_by(name))
    assert np.median(motion.forward.reshape(-1, 2), axis=0) == pytest.approx([-3, 0], abs=0.15)
    assert np.median(motion.backward.reshape(-1, 2), axis=0) == pytest.approx([3, 0], abs=0.15)


def test_the_flow_of_a_network(raft: Raft) -> None:  # noqa: F811
    first, second = (Picture(frame.astype(np.float32) / 255) for frame in panned(2, step=3))
    motion = Motion(first, second, estimate_by("raft_small"))
    shown = [torch.from_numpy(picture.rgb).permute(2, 0, 1)[None] for picture in (first, second)]
    with torch.inference_mode():
        there, back = raft.flow(*shown), raft.flow(*shown[::-1])
    assert motion.forward.shape == (*first.rgb.shape[:2], 2)
    assert motion.forward == pytest.approx(there[0].permute(1, 2, 0).numpy(), abs=1e-4)
    assert motion.backward == pytest.approx(back[0].permute(1, 2, 0).numpy(), abs=1e-4)


@pytest.mark.parametrize("name", ["raft_small", "raft_large"])
def test_a_network_without_weights(no_weights: None, name: str) -> None:  # noqa: F811
    with pytest.raises(WeightsError, match=f"`kinochrome weights get {name}`"):
        estimate_by(name)


def test_every_flow_is_a_search_or_has_public_weights() -> None:
    assert set(FLOWS) == set(FINEST) | {name for name in weights.CATALOGUE if name.startswith("raft_")}


def test_an_unknown_flow() -> None:
    with pytest.raises(MethodError, match=r"'flownet2'.*dis"):
        estimate_by("flownet2")
