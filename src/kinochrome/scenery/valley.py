"""A flight over lit country: a height field seen in true perspective, and two balloons."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from .brush import floats, look_up, mix, noise, place_sprite, step


class Valley:
    """A flight over lit country: woods, fields, a lake, a village, and two balloons that pass one before the other."""

    cells = 1024

    def __init__(self, height: int, width: int, seed: int) -> None:
        self.height, self.width = height, width
        self.ground: np.ndarray = self._heights(seed)
        self.colour: np.ndarray = self._colours(seed)
        self.far_colour = cv2.GaussianBlur(self.colour, (0, 0), 2.5)
        self.detail = 0.55 + 0.9 * noise((512, 512), 5, seed + 8, 3)
        self.clouds = noise((height, width * 2), height * 0.5, seed + 9, 6)
        self.balloons = [
            balloon(height, ((0.75, 0.06, 0.04), (0.85, 0.62, 0.08), (0.9, 0.86, 0.75)), seed),
            balloon(height, ((0.02, 0.3, 0.42), (0.85, 0.83, 0.74), (0.25, 0.08, 0.4)), seed + 1),
        ]

    def _heights(self, seed: int) -> np.ndarray:
        size = (self.cells, self.cells)
        hills = noise(size, 260, seed + 1, 6)
        across = np.abs(np.linspace(-1, 1, self.cells, dtype=np.float32))[None, :]
        ground = 95 * hills * (0.35 + 1.3 * across) + 150 * across**2 * noise(size, 120, seed + 2, 6)
        return np.maximum(ground, 14).astype(np.float32)

    def _colours(self, seed: int) -> np.ndarray:
        size = (self.cells, self.cells)
        fine = noise(size, 6, seed + 3, 3)
        ground = self.ground
        colour: np.ndarray = np.empty((*size, 3), np.float32)
        colour[:] = (0.17, 0.26, 0.05)
        colour = self._fields(colour, seed) * (0.72 + 0.56 * fine)[..., None]
        slope = np.hypot(cv2.Sobel(ground, cv2.CV_32F, 1, 0), cv2.Sobel(ground, cv2.CV_32F, 0, 1)) / 8
        woods = step(0.5, 0.56, noise(size, 70, seed + 4, 5)) * step(15, 22, ground)
        crowns = noise(size, 5, seed + 5, 2)
        autumn = noise(size, 12, seed + 6, 2)
        leaves = mix(np.full((*size, 3), (0.05, 0.12, 0.03), np.float32), (0.34, 0.12, 0.02), step(0.55, 0.75, autumn))
        leaves = mix(leaves, (0.3, 0.2, 0.03), step(0.6, 0.35, autumn) * step(0.5, 0.7, crowns) * 0.8)
        colour = mix(colour, leaves * (0.35 + 1.3 * crowns)[..., None], woods)
        self.ground = ground = ground + woods * (3 + 7 * crowns)
        rock = step(0.9, 1.5, slope) * step(60, 110, ground)
        colour = mix(colour, (0.3, 0.27, 0.24) * (0.6 + 0.8 * fine)[..., None], rock)
        lake = step(14.6, 14.1, ground)
        colour = mix(colour, (0.62, 0.5, 0.3), step(17.5, 14.5, ground) * (1 - lake) * 0.8)
        self._village(colour, seed)
        light = self._light()
        colour = colour * light
        return mix(colour, (0.05, 0.17, 0.3) * (0.85 + 0.3 * noise(size, 9, seed + 7, 3))[..., None], lake)

    def _fields(self, colour: np.ndarray, seed: int) -> np.ndarray:
        """Strips of rape, lavender, red earth, wheat and young green, about equally bright."""
        source = np.random.default_rng(seed + 11)
        crops = [(0.5, 0.4, 0.03), (0.24, 0.15, 0.42), (0.4, 0.17, 0.09), (0.46, 0.34, 0.14), (0.13, 0.33, 0.06)]
        seeds = source.uniform(0, self.cells, (420, 2)).astype(np.float32)
        picture = np.full((self.cells, self.cells), 255, np.uint8)
        for x, y in seeds.astype(int):
            picture[y, x] = 0
        _, labels = cv2.distanceTransformWithLabels(picture, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        palette = np.array(crops, np.float32)[source.integers(0, len(crops), labels.max() + 1)]
        angle = source.uniform(0, np.pi, labels.max() + 1).astype(np.float32)[labels]
        y, x = np.mgrid[: self.cells, : self.cells].astype(np.float32)
        rows = 0.86 + 0.14 * np.sin((x * np.cos(angle) + y * np.sin(angle)) * 1.6)
        hedge = cv2.dilate(
            cv2.morphologyEx(labels.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((2, 2))), np.ones((3, 3))
        )
        fields = mix(palette[labels] * rows[..., None], (0.06, 0.12, 0.03), (hedge > 0).astype(np.float32))
        return mix(colour, fields, step(0.48, 0.56, noise(colour.shape[:2], 90, seed + 12, 3)))

    def _village(self, colour: np.ndarray, seed: int) -> None:
        source = np.random.default_rng(seed + 13)
        for _ in range(70):
            x, y = source.normal((512, 640), (45, 60)).astype(int)
            if self.ground[y, x] > 15 and 0 < x < self.cells - 8 and 0 < y < self.cells - 8:
                wide, deep = source.integers(4, 8, 2)
                self.ground[y : y + deep, x : x + wide] = self.ground[y, x] + 5
                colour[y : y + deep, x : x + wide] = (0.5, 0.12, 0.06)
                colour[y : y + deep, x : x + wide // 2] *= 0.6
                colour[y : y + 1, x : x + wide] = (0.75, 0.7, 0.6)

    def _light(self) -> np.ndarray:
        """(cells, cells, 3): warm sun with cast shadows, blue sky."""
        ground = self.ground
        normal = np.dstack((-cv2.Sobel(ground, cv2.CV_32F, 1, 0) / 8, -cv2.Sobel(ground, cv2.CV_32F, 0, 1) / 8))
        length = np.sqrt(1 + (normal**2).sum(-1))
        sun = (normal[..., 0] * -0.66 + normal[..., 1] * -0.2 + 0.52) / length
        reach = ground.copy()
        for distance in (1, 2, 4, 8, 16, 32):
            matrix = np.array([[1, 0, distance * 0.95], [0, 1, distance * 0.3]], np.float32)
            moved = cv2.warpAffine(reach, matrix, (self.cells, self.cells), borderMode=cv2.BORDER_REPLICATE)
            reach = np.maximum(reach, moved - distance * 0.72)
        lit = np.clip(sun, 0, 1) * (1 - step(0.3, 3, reach - ground))
        warm, blue = floats((2.1, 1.75, 1.3)), floats((0.3, 0.4, 0.55))
        return lit[..., None] * warm + (0.5 + 0.5 / length)[..., None] * blue

    def picture(self, time: float) -> np.ndarray:
        """(h, w, 3) float32 linear light at `time` seconds."""
        rows, columns = self.height, self.width
        heading = 0.10 * time - 0.1
        place = floats((500 + 3 * time, 940 - 24 * time))
        steps = (4 * np.geomspace(1, 200, 260)).astype(np.float32)
        across = (np.arange(columns, dtype=np.float32) + 0.5 - columns / 2) / rows
        forward = floats((math.sin(heading), -math.cos(heading)))
        side = floats((math.cos(heading), math.sin(heading)))
        east, south = (forward[i] + across[None, :] * side[i] for i in (0, 1))
        x, y = place[0] + east * steps[:, None], place[1] + south * steps[:, None]
        camera, horizon = 118 + 3 * time, rows * (0.3 + 0.01 * math.sin(1.3 * time))
        screen = horizon + (camera - look_up(self.ground, x, y)) / steps[:, None] * rows
        nearest = np.minimum.accumulate(screen, axis=0)
        place_of = np.clip(np.ceil(nearest), 0, rows).astype(np.int64)
        counts = np.bincount((place_of * columns + np.arange(columns)).ravel(), minlength=(rows + 1) * columns)
        hit = counts.reshape(rows + 1, columns)[::-1].cumsum(0)[::-1][1:]
        sky = hit >= len(steps)
        hit = np.clip(hit, 1, len(steps) - 1)
        low, high = np.take_along_axis(screen, hit - 1, 0), np.take_along_axis(screen, hit, 0)
        part = np.clip((low - np.arange(rows, dtype=np.float32)[:, None]) / np.maximum(low - high, 1e-3), 0, 1)
        distance = steps[hit - 1] + part * (steps[hit] - steps[hit - 1])
        x, y = place[0] + east * distance, place[1] + south * distance
        land = mix(look_up(self.colour, x, y), look_up(self.far_colour, x, y), step(150, 420, distance))
        land *= (1 + (look_up(self.detail, x * 3.3, y * 3.3) - 1) * step(320, 90, distance))[..., None]
        haze = 1 - np.exp(-((distance / 800) ** 1.5))
        picture = mix(land, (0.55, 0.66, 0.8), haze)
        picture = mix(picture, self._sky(heading, horizon), sky.astype(np.float32))
        for sprite, path in zip(self.balloons, self._paths(time), strict=True):
            picture = place_sprite(picture, sprite, *path)
        return picture

    def _sky(self, heading: float, horizon: float) -> np.ndarray:
        rows, columns = self.height, self.width
        up = np.clip((horizon - np.arange(rows, dtype=np.float32)) / horizon, 0, 1)[:, None] * np.ones(
            (1, columns), np.float32
        )
        sky = mix(np.full((rows, columns, 3), (0.75, 0.76, 0.74), np.float32), (0.12, 0.3, 0.68), up**0.7)
        matrix = np.array([[1, 0, heading * rows - columns * 0.4], [0, 1, 0]], np.float32)
        clouds = cv2.warpAffine(self.clouds, matrix, (columns, rows), borderMode=cv2.BORDER_REFLECT)
        return mix(sky, (1.0, 0.95, 0.9), step(0.5, 0.9, clouds) * (0.3 + 0.6 * up))

    def _paths(self, time: float) -> list[tuple[float, float, float, float]]:
        """For each balloon: x, y of its middle, its size (of the picture's height), its lean."""
        rows = self.height
        return [
            (rows * (1.32 - 0.17 * time), rows * (0.36 - 0.02 * time), 0.34 + 0.012 * time, 0.03 * math.sin(2 * time)),
            (
                rows * (0.55 + 0.24 * time),
                rows * (0.45 + 0.015 * time),
                0.52 + 0.02 * time,
                0.04 * math.sin(1.7 * time + 1),
            ),
        ]


def balloon(height: int, colours: Sequence[Sequence[float]], seed: int) -> np.ndarray:
    """(n, n, 4) float32, premultiplied: a hot-air balloon of striped gores with its basket."""
    n = max(int(height * 0.8), 48)
    y, x = (np.mgrid[:n, :n].astype(np.float32) + 0.5) / n * 2 - 1
    wide = 0.62 * np.sqrt(np.clip(1 - ((y + 0.32) / 0.64) ** 2, 0, 1))
    taper = np.clip((y + 0.05) / 0.6, 0, 1)
    wide = np.where(y > -0.05, 0.492 * (1 - taper) ** 0.8 + 0.07, wide)
    inside = step(1.5 / n, -1.5 / n, np.abs(x) - wide) * (y < 0.5) * (y > -0.96)
    across = np.clip(x / np.maximum(wide, 1e-3), -1, 1)
    gore = (np.arcsin(across) + np.pi / 2) / np.pi * 12
    bands = np.asarray(colours, np.float32)[(gore.astype(int) + (y > -0.1).astype(int)) % len(colours)]
    bulge = 0.8 + 0.2 * np.abs(np.sin(gore * np.pi))
    up = np.clip(-(y + 0.3) / 0.66, -1, 1)
    front = np.sqrt(np.clip(1 - across**2 * 0.9 - up**2 * 0.5, 0.02, 1))
    light = np.clip(-0.66 * across + 0.45 * up + 0.55 * front, 0, 1)
    shade = light[..., None] * floats((1.5, 1.3, 1.05)) + floats((0.28, 0.33, 0.42))
    cloth = bands * shade * (bulge * (0.93 + 0.14 * noise((n, n), n / 20, seed, 3)))[..., None]
    sprite = np.dstack((cloth * inside[..., None], inside)).astype(np.float32)
    for foot in (-0.07, 0.07):
        cv2.line(
            sprite,
            (int(n * (0.5 + foot)), int(n * 0.745)),
            (int(n * (0.5 + foot * 0.8)), int(n * 0.86)),
            (0.1, 0.08, 0.05, 1),
            1,
            cv2.LINE_AA,
        )
    basket = (np.abs(x) < 0.075) & (y > 0.7) & (y < 0.83)
    weave = 0.6 + 0.4 * np.sin(x * 90) * np.sin(y * 90)
    sprite[basket] = np.dstack((0.3 * weave, 0.17 * weave, 0.07 * weave, np.ones_like(weave)))[basket]
    return sprite
