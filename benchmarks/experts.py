"""How well the small bistnet's edges and segments find where things end: generated scenes, one command, one table.

    python benchmarks/experts.py [--weights RUN/best.safetensors] [--scenes 24] [--seed 1]

A scene is lightness alone: overlapping blobs and polygons with texture, light and grain, many hardly lighter or darker
than what they cover; whose each pixel is, is known. Precision, recall and F as Martin and others 2004 have them: what
lies within 0.0075 of the diagonal counts as found; each way's best threshold is the same for all scenes (ODS).
`random` is the floor: whatever is drawn somewhere lies near some boundary.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from kinochrome.errors import WeightsError
from kinochrome.methods.bistnet import BistnetOptions, load
from kinochrome.methods.bistnet.experts import Eyes
from kinochrome.methods.bistnet.network import STRIDE

NEAR = 0.0075
"""Of the diagonal: as near as the eye takes two lines for the same."""
LEVELS = tuple(np.linspace(0.02, 0.98, 33))
"""Thresholds; strengths are 0..1."""
CANNY = tuple((high / 2, high) for high in (20, 30, 45, 70, 100, 150, 220, 300, 400))
"""Lower and upper threshold, for pictures of 0..255 without smoothing of their own."""

Way = Callable[[np.ndarray], list[np.ndarray]]
"""Lightness (h, w) to the lines (h, w) bool that it finds: one drawing for each of its settings."""


# --- Scenes ---


def make_scene(random: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) lightness 0..100 float32, and the number of the thing that each pixel is of."""
    lightness = random.uniform(20, 80) + texture(random, size)
    owners = np.zeros(size, np.int32)
    for number in range(1, int(random.integers(8, 15)) + 1):
        inside = outline(random, size)
        under = float(lightness[inside > 0.5].mean()) if (inside > 0.5).any() else 50.0
        alike = random.random() < 0.6
        own = under + random.normal(0, 4) if alike else random.uniform(12, 88)
        lightness += inside * (own + texture(random, size) - lightness)
        owners[inside > 0.5] = number
    grain = cv2.GaussianBlur(random.normal(size=size), (0, 0), 0.6)
    lit = lightness * light(random, size) + random.uniform(1, 4) * grain
    return lit.clip(0, 100).astype(np.float32), owners


def outline(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """(h, w) 0..1: 1 inside a blob or a polygon, soft by a pixel."""
    count = 40 if random.random() < 0.6 else int(random.integers(3, 8))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + random.uniform(0, 2 * np.pi)
    around = np.ones(count)
    for wave in (2, 3, 4, 5) if count == 40 else ():
        around += random.normal(0, 0.25 / wave) * np.cos(wave * angles + random.uniform(0, 2 * np.pi))
    if count != 40:
        around = random.uniform(0.6, 1.2, count)
    radius = random.uniform(0.12, 0.38) * min(size) * around.clip(0.3, None)
    x, y = random.uniform(0, 1, 2) * size[::-1]
    stretch, turn = random.uniform(0.6, 1.7), random.uniform(0, np.pi)
    along, across = radius * np.cos(angles) * stretch, radius * np.sin(angles)
    points = np.stack(
        [x + along * np.cos(turn) - across * np.sin(turn), y + along * np.sin(turn) + across * np.cos(turn)], 1
    )
    shape = np.zeros(size, np.uint8)
    cv2.fillPoly(shape, [(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(shape, (0, 0), 0.7).astype(np.float64) / 255


def texture(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """(h, w) around 0: cloudy, striped, or nearly nothing."""
    kind, strength = random.integers(3), random.uniform(1, 4)
    if kind == 0:
        cloud = cv2.GaussianBlur(random.normal(size=size), (0, 0), random.uniform(1.0, 6.0))
        return strength * cloud / cloud.std()
    if kind == 1:
        y, x = np.mgrid[0 : size[0], 0 : size[1]]
        way, length = random.uniform(0, np.pi), random.uniform(4, 16)
        return strength * np.sin(2 * np.pi * (x * np.cos(way) + y * np.sin(way)) / length)
    return random.normal(0, 0.3, size)


def light(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """(h, w) around 1: a lamp on one side."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in size), indexing="ij")
    way = random.uniform(0, 2 * np.pi)
    return 1 + random.uniform(0, 0.2) * (x * np.cos(way) + y * np.sin(way))


def borders(owners: np.ndarray) -> np.ndarray:
    """(h, w) bool: pixels whose neighbour on the right or below is something else's."""
    found = np.zeros(owners.shape, bool)
    found[:, :-1] |= owners[:, 1:] != owners[:, :-1]
    found[:-1] |= owners[1:] != owners[:-1]
    return found


# --- How good lines are ---


def counts(found: np.ndarray, true: np.ndarray, reach: float) -> np.ndarray:
    """(4,): pixels found near a true one, pixels found, true pixels near a found one, true pixels."""
    return np.array([(found & near(true, reach)).sum(), found.sum(), (true & near(found, reach)).sum(), true.sum()])


def near(lines: np.ndarray, reach: float) -> np.ndarray:
    """(h, w) bool: what lies within `reach` pixels of a line."""
    if not lines.any():
        return np.zeros_like(lines)
    away = cv2.distanceTransform((~lines).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return away <= reach


def f_measure(counted: np.ndarray) -> tuple[float, float, float]:
    """Precision, recall, and their harmonic mean, of `counts` or of their sum; 0 where nothing is right."""
    right, found, met, true = (float(one) for one in counted)
    precision, recall = right / max(found, 1), met / max(true, 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


# --- Ways to find lines ---


def thresholds(strength: np.ndarray) -> list[np.ndarray]:
    """The ridges of strengths 0..1 (h, w) above each level."""
    ridges = np.where(is_ridge(strength), strength, 0)
    return [ridges > level for level in LEVELS]


def is_ridge(strength: np.ndarray) -> np.ndarray:
    """(h, w) bool: no less than both neighbours across, which is the way the strength bends most."""
    strength = strength.astype(np.float32)
    smooth = cv2.GaussianBlur(strength, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    bends = (cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((2, 0), (0, 2), (1, 1)))
    across, down, both = bends
    # The way it rises most from both sides; where it falls on the whole, a right angle to that.
    way = np.arctan2(2 * both, across - down) / 2 + np.where(across + down < 0, np.pi / 2, 0).astype(np.float32)
    y, x = np.indices(strength.shape, np.float32)
    sides = [
        cv2.remap(
            strength, x + sign * np.cos(way), y + sign * np.sin(way), cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
        )
        for sign in (1, -1)
    ]
    return strength >= np.maximum(*sides)


def looked(eyes: Eyes, lightness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges (h, w) 0..1 and the kind of each place (h, w), both at the picture's size."""
    height, width = lightness.shape
    with torch.inference_mode():
        look = eyes(torch.from_numpy(lightness)[None, None])
    edges = cv2.resize(look.edges[0, 0].numpy(), (width, height), interpolation=cv2.INTER_LINEAR)
    kinds = look.segments[0].argmax(0).numpy().astype(np.int32)
    return edges, cv2.resize(kinds, (width, height), interpolation=cv2.INTER_NEAREST)


def sobel(lightness: np.ndarray) -> list[np.ndarray]:
    """By the length of Sobel's gradient: 1 is a step of 80 in lightness."""
    across, down = (cv2.Sobel(lightness, cv2.CV_32F, *way) for way in ((1, 0), (0, 1)))
    # The root spreads what is faint, where most boundaries are, over more of the levels.
    return thresholds(np.sqrt(np.hypot(across, down) / 320).clip(0, 1))


def canny(lightness: np.ndarray) -> list[np.ndarray]:
    """By OpenCV's Canny, after the blur that its author has before it."""
    picture = cv2.GaussianBlur((lightness * 2.55).clip(0, 255).astype(np.uint8), (0, 0), 1.4)
    return [cv2.Canny(picture, low, high, L2gradient=True) > 0 for low, high in CANNY]


def by_chance(random: np.random.Generator, lightness: np.ndarray) -> list[np.ndarray]:
    """Pixels drawn by lot, more and less of them."""
    drawn = random.random(lightness.shape)
    return [drawn > level for level in LEVELS]


def ways_of(eyes: Eyes, seed: int) -> dict[str, Way]:
    """What is compared; both experts are one look, and each bears its whole time."""
    return {
        "edges of the eyes": lambda lightness: thresholds(looked(eyes, lightness)[0]),
        "borders of segments": lambda lightness: [borders(looked(eyes, lightness)[1])],
        "Sobel": sobel,
        "Canny": canny,
        "random": partial(by_chance, np.random.default_rng([seed, 1])),
    }


# --- The table ---


def measured(way: Way, scenes: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float, float, float]:
    """Precision, recall and F at the best setting for all scenes, and milliseconds a frame with all settings drawn."""
    whole, seconds = [], 0.0
    for lightness, owners in scenes:
        true, reach = borders(owners), NEAR * float(np.hypot(*owners.shape))
        began = time.perf_counter()
        drawings = way(lightness)
        seconds += time.perf_counter() - began
        whole.append([counts(drawing, true, reach) for drawing in drawings])
    best = max((f_measure(one) for one in np.sum(whole, 0)), key=lambda found: found[2])
    return *best, seconds * 1000 / len(scenes)


def rows(eyes: Eyes, count: int, size: tuple[int, int], seed: int) -> Iterator[str]:
    """The table, line by line."""
    scenes = [make_scene(np.random.default_rng([seed, 0, number]), size) for number in range(count)]
    yield f"{'way':<22}{'precision':>10}{'recall':>8}{'F':>8}{'ms/frame':>10}"
    for name, way in ways_of(eyes, seed).items():
        precision, recall, found, milliseconds = measured(way, scenes)
        yield f"{name:<22}{precision:10.3f}{recall:8.3f}{found:8.3f}{milliseconds:10.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="of the small variant; those that come along, if none are named")
    parser.add_argument("--scenes", type=int, default=24, help="how many")
    parser.add_argument("--size", default="432x240", metavar="WxH", help=f"their size, multiples of {STRIDE}")
    parser.add_argument("--seed", type=int, default=1, help="other scenes with another number")
    given = parser.parse_args()
    width, height = (int(side) for side in given.size.split("x"))
    if width % STRIDE or height % STRIDE or min(width, height, given.scenes) < 1:
        sys.exit(f"--size {given.size}, --scenes {given.scenes}: sides are multiples of {STRIDE}, and a scene is one.")
    try:
        network = load(BistnetOptions(weights=str(given.weights or "")))
    except WeightsError as error:
        sys.exit(str(error))
    assert network.eyes is not None, "the small variant has eyes of its own"
    for line in rows(network.eyes.eval(), given.scenes, (height, width), given.seed):
        print(line, flush=True)


if __name__ == "__main__":
    main()
