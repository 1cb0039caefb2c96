"""Bleed: little where colour ends with the light, more the farther it strays, whatever its strength."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from kinochrome import color
from kinochrome.metrics.bleed import Bleed

from .clips import grey, pair_of, texture


def painted(light: np.ndarray, a: np.ndarray) -> np.ndarray:
    """R'G'B' float32 of L* and a*, b* = 0."""
    lab = torch.from_numpy(np.stack([light, a, np.zeros_like(a)]).astype(np.float32))
    return np.ascontiguousarray(color.rgb_from_lab(lab).numpy().transpose(1, 2, 0))


def discs(shift: int = 0, strength: float = 30) -> np.ndarray:
    """A reddish disc on grey, lighter than what is around; its colour lies `shift` pixels to the right."""
    disc = np.zeros((64, 96), np.float32)
    cv2.circle(disc, (40, 32), 16, 1, -1, cv2.LINE_AA)
    return painted(40 + 30 * disc, strength * np.roll(disc, shift, 1))


def test_colour_that_ends_with_the_light() -> None:
    assert Bleed().of(pair_of(discs(), discs())) < 0.01


def test_shifted_colour_bleeds_more_the_farther() -> None:
    figures = [Bleed().of(pair_of(discs(shift), discs())) for shift in (0, 6, 12)]
    assert figures[0] < 0.01 < 0.2 < figures[1] < figures[2]


def test_blurred_colour_bleeds() -> None:
    disc = discs()
    light = discs(strength=0)
    smeared = light + cv2.GaussianBlur(disc - light, (0, 0), 6)
    assert Bleed().of(pair_of(np.clip(smeared, 0, 1), disc)) > 0.2


def test_saturation_does_not_hide_it() -> None:
    strong, weak = (Bleed().of(pair_of(discs(6, strength), discs())) for strength in (40, 10))
    assert weak == pytest.approx(strong, abs=0.05)


def test_colour_on_nothing_is_all_bleed() -> None:
    light = np.full((64, 96), 50, np.float32)
    colour = discs()
    only_colour = painted(light, 30 * (colour[..., 0] > colour[0, 0, 0] + 0.01))
    assert Bleed().of(pair_of(only_colour, painted(light, 0 * light))) > 0.99


def test_grey_has_none() -> None:
    assert Bleed().of(pair_of(grey([texture()])[0], texture())) is None
