"""Dense motion: known shifts are found, warping and composing follow them, and a search owes nothing to the last."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kinochrome import flow


def texture(height: int = 96, width: int = 160, seed: int = 0) -> np.ndarray:
    """Lightness 0..100 with detail at several scales."""
    random = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(random.normal(size=(height, width)), (0, 0), size) * size for size in (1.5, 4, 10)]
    layer = np.sum(layers, axis=0)
    return (50 + 40 * layer / np.abs(layer).max()).astype(np.float32)


def shifted(by: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Two views; what the first shows at (x, y), the second shows at (x + by[0], y + by[1])."""
    whole = texture()
    x, y = by
    return whole[20:84, 20:140].copy(), whole[20 - y : 84 - y, 20 - x : 140 - x].copy()


@pytest.mark.parametrize("finest", [0, 1, 2])
@pytest.mark.parametrize("by", [(0, 0), (3, -2), (-6, 5)])
def test_a_shift_is_found(finest, by):
    first, second = (flow.visible(image) for image in shifted(by))
    found = flow.Motion(finest).between(first, second)
    assert np.abs(np.median(found, axis=(0, 1)) - by).max() < 0.3


def test_warping_along_the_flow_restores_the_first_image():
    first, second = shifted((4, 2))
    motion = flow.Motion(1).between(flow.visible(first), flow.visible(second))
    error = np.abs(flow.warp(second, motion) - first)[10:-10, 10:-10]
    assert error.mean() < 0.1 * np.abs(second - first)[10:-10, 10:-10].mean()


def test_composing_adds_up_shifts():
    one = np.full((40, 60, 2), (2.0, 1.0), np.float32)
    other = np.full((40, 60, 2), (-5.0, 3.0), np.float32)
    assert np.allclose(flow.compose(one, other), (-3.0, 4.0))


def test_motion_is_sharp_where_one_thing_passes_before_another():
    ground, thing = texture(), texture(seed=1) / 2 + 40
    first, second = ground.copy(), ground.copy()
    first[30:66, 60:100], second[30:66, 68:108] = (thing[30:66, 60:100],) * 2
    true, blurred = np.zeros((2, *ground.shape, 2), np.float32)
    true[30:66, 60:100, 0] = 8
    # As patches find it: what lies around the thing moves with it.
    blurred[25:71, 55:105, 0] = 8
    found = flow.sharpened(flow.visible(first), flow.visible(second), blurred)
    # Right of it, what the second hides has no motion to be found.
    wrong = (np.abs(found - true).max(-1) > 0.5) & (np.arange(160) < 100)
    assert wrong.sum() < 0.15 * (np.abs(blurred - true).max(-1) > 0.5).sum()
    assert np.array_equal(flow.sharpened(flow.visible(ground), flow.visible(ground), blurred * 0), blurred * 0)


def test_a_start_helps_where_motion_is_long():
    random = np.random.default_rng(3)
    whole = (50 + 20 * cv2.GaussianBlur(random.normal(size=(96, 320)), (0, 0), 1.5)).astype(np.float32)
    first, second = (flow.visible(np.ascontiguousarray(whole[:, at : at + 160])) for at in (0, 60))
    motion = flow.Motion(1)
    start = np.full((96, 160, 2), (-60.0, 0.0), np.float32)
    found = motion.between(first, second, start)[:, 70:]
    alone = motion.between(first, second)[:, 70:]
    assert np.median(np.abs(found[..., 0] + 60)) < 0.5 < np.median(np.abs(alone[..., 0] + 60))


def test_a_search_from_rest_forgets_earlier_starts():
    first, second = (flow.visible(image) for image in shifted((3, 1)))
    motion = flow.Motion(1)
    fresh = motion.between(first, second)
    motion.between(first, second, np.full((*first.shape, 2), 30.0, np.float32))
    assert np.array_equal(motion.between(first, second), fresh)


def test_the_start_is_not_modified():
    first, second = (flow.visible(image) for image in shifted((3, 1)))
    start = np.ones((*first.shape, 2), np.float32)
    flow.Motion(1).between(first, second, start)
    assert (start == 1).all()


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (17, 9), (33, 31)])
def test_any_size_will_do(size):
    image = flow.visible(np.full(size, 40, np.float32))
    motion = flow.Motion(2)
    assert motion.between(image, image).shape == (*size, 2)
    assert motion.between(image, image, np.zeros((*size, 2), np.float32)).shape == (*size, 2)


def test_inside_tells_what_leaves_the_image():
    motion = np.zeros((10, 20, 2), np.float32)
    motion[..., 0] = 5
    assert flow.inside(motion)[:, :15].all()
    assert not flow.inside(motion)[:, 15:].any()


def test_mismatch_forgives_a_pixel_in_texture_and_nothing_else():
    image = texture()
    moved = np.roll(image, 1, axis=1)
    middle = slice(10, -10), slice(10, -10)
    assert flow.mismatch(image, moved)[middle].max() == 0 < flow.difference(image, moved)[middle].min()
    assert np.allclose(flow.mismatch(image, np.full_like(image, 0)), cv2.blur(image, (5, 5)), atol=1e-3)


def test_a_zoomed_view_is_aligned_and_another_scene_is_not():
    rng = np.random.default_rng(5)
    scene = np.zeros((240, 320), np.uint8)
    for _ in range(150):
        x, y, w, h = (int(rng.integers(0, high)) for high in (300, 220, 50, 50))
        cv2.rectangle(scene, (x, y), (x + w, y + h), int(rng.integers(20, 255)), -1)
    zoomed = cv2.resize(scene[40:200, 60:280], (320, 240))
    found = flow.align(zoomed, scene)
    assert found is not None
    y, x = 120, 160
    expected = np.array([60 + (x + 0.5) * 220 / 320 - 0.5 - x, 40 + (y + 0.5) * 160 / 240 - 0.5 - y])
    assert np.abs(found[y, x] - expected).max() < 1
    assert flow.align(scene, rng.integers(0, 255, scene.shape).astype(np.uint8)) is None
    assert flow.align(scene, np.zeros_like(scene)) is None
