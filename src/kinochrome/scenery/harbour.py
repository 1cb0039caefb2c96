"""Sailing boats before a town at sunset, mirrored in moving water."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from .brush import cover, floats, look_up, mix, noise, over, place_sprite, polygon, slide, step, tile


class Harbour:
    """Three boats cross before one another; the camera pans along the shore."""

    def __init__(self, height: int, width: int, seed: int) -> None:
        self.height, self.width = height, width
        self.horizon = round(height * 0.56)
        self.sky = self._sky(seed)
        self.town = self._town(seed)
        self.waves = tile(noise((512, 512), 42, seed + 3, 4))
        self.boats = [
            boat(height, ((0.7, 0.68, 0.6), (0.62, 0.6, 0.55), (0.1, 0.16, 0.3)), seed + 4),
            boat(height, ((0.55, 0.08, 0.05), (0.5, 0.3, 0.06), (0.5, 0.48, 0.42)), seed + 5),
            boat(height, ((0.06, 0.26, 0.3), (0.5, 0.36, 0.09), (0.3, 0.06, 0.07)), seed + 6),
        ]

    def _sky(self, seed: int) -> np.ndarray:
        rows, columns = self.horizon, int(self.width * 1.3)
        y, x = np.mgrid[:rows, :columns].astype(np.float32)
        up = 1 - y / rows
        sky = mix(np.full((rows, columns, 3), (0.95, 0.5, 0.22), np.float32), (0.75, 0.42, 0.4), step(0, 0.35, up))
        sky = mix(sky, (0.16, 0.24, 0.5), step(0.2, 0.95, up))
        glow = np.hypot((x - columns * 0.17) / self.height, (y - rows * 0.5) / self.height)
        sky += np.exp(-glow * 5)[..., None] * floats((1.1, 0.6, 0.2))
        sky += step(0.052, 0.048, glow)[..., None] * floats((2.5, 1.7, 0.8))
        stretched = cv2.resize(
            noise((rows, columns // 4), rows * 0.3, seed, 6), (columns, rows), interpolation=cv2.INTER_CUBIC
        )
        clouds = step(0.45, 0.8, stretched) * step(0.02, 0.2, up)
        lit = mix(np.full(sky.shape, (0.42, 0.27, 0.36), np.float32), (1.2, 0.62, 0.3), step(0.8, 0.5, stretched))
        return mix(sky, lit, clouds * 0.85)

    def _town(self, seed: int) -> np.ndarray:
        """A wide premultiplied layer: wooded hills and rows of painted houses down to the quay."""
        rows, columns = self.horizon, int(self.width * 1.7)
        y = np.mgrid[:rows, :columns][0].astype(np.float32)
        layer = np.zeros((rows, columns, 4), np.float32)
        fine = noise((rows, columns), 5, seed + 1, 3)
        ridge = noise((1, columns), self.height * 0.9, seed + 2, 4)[0]
        for depth, tone in ((0.5, (0.2, 0.15, 0.22)), (0.33, (0.1, 0.1, 0.07))):
            top = rows - self.height * depth * (0.25 + 0.6 * np.roll(ridge, int(columns * depth)))
            cover(layer, floats(tone) * (0.6 + 0.9 * fine)[..., None], step(-1, 1, y - top[None]))
        source = np.random.default_rng(seed + 7)
        paints = [
            (0.55, 0.2, 0.13),
            (0.5, 0.33, 0.12),
            (0.28, 0.33, 0.32),
            (0.45, 0.24, 0.27),
            (0.55, 0.5, 0.42),
            (0.2, 0.3, 0.42),
        ]
        for row in range(4, -1, -1):
            foot = rows - self.height * 0.042 * row
            left = -source.uniform(0, 0.1) * self.height
            while left < columns:
                wide, tall = source.uniform(0.07, 0.13) * self.height, source.uniform(0.09, 0.15) * self.height
                if source.random() > 0.1 + 0.13 * row:
                    shade = (1 - 0.13 * row) * source.uniform(0.75, 1.1)
                    paint = floats(paints[source.integers(len(paints))]) * shade
                    self._house(layer, (left, foot - tall, wide, tall), paint, source)
                left += wide * source.uniform(1.0, 1.3)
        cover(
            layer,
            floats((0.2, 0.15, 0.13)) * (0.6 + 0.8 * fine)[..., None],
            step(rows - self.height * 0.016, rows - self.height * 0.012, y),
        )
        self._lighthouse(layer, columns * 0.62)
        return layer

    def _house(self, layer: np.ndarray, box: tuple, paint: np.ndarray, source: np.random.Generator) -> None:
        left, top, wide, tall = box
        first, last = max(int(left) - 2, 0), min(int(left + wide) + 3, layer.shape[1])
        above, below = max(int(top - 0.35 * wide), 0), min(int(top + tall) + 1, layer.shape[0])
        if last <= first or below <= above:
            return
        part = layer[above:below, first:last]
        size = part.shape[:2]

        def area(points: Sequence[Sequence[float]]) -> np.ndarray:
            return polygon(size, [((x - first) / size[1], (y - above) / size[0]) for x, y in points])

        right, ridge = left + wide, top - 0.3 * wide
        side = left + 0.3 * wide
        cover(part, paint * 0.5, area(((left, top), (right, top), (right, top + tall), (left, top + tall))))
        cover(
            part,
            paint * floats((1.5, 1.2, 0.95)),
            area(((side, top), (right, top), (right, top + tall), (side, top + tall))),
        )
        roof = ((left - 1, top), (left + 0.2 * wide, ridge), (right - 0.1 * wide, ridge), (right + 1, top))
        cover(part, floats((0.42, 0.13, 0.07)) * source.uniform(0.6, 1.1), area(roof))
        pane = (0.9, 0.6, 0.2) if source.random() > 0.6 else (0.06, 0.07, 0.1)
        for x in np.arange(side + 0.1 * wide, right - 0.1 * wide, 0.21 * wide):
            for y in np.arange(top + 0.12 * tall, top + tall * 0.9, 0.3 * tall):
                window = ((x, y), (x + 0.1 * wide, y), (x + 0.1 * wide, y + 0.16 * tall), (x, y + 0.16 * tall))
                cover(part, pane, area(window))

    def _lighthouse(self, layer: np.ndarray, middle: float) -> None:
        rows, columns = layer.shape[:2]
        unit = self.height
        y, x = np.mgrid[:rows, :columns].astype(np.float32)
        up = (rows - y) / unit
        half = unit * (0.03 - 0.03 * up)
        across = np.clip((x - middle) / half, -1, 1)
        light = 0.45 + 0.75 * np.sqrt(1 - across**2) - 0.35 * across
        bands = np.where((up / 0.075).astype(int) % 2 == 0, 0.0, 1.0).astype(np.float32)
        paint = mix(np.full((rows, columns, 3), (0.6, 0.56, 0.5), np.float32), (0.55, 0.06, 0.05), bands)
        cover(layer, paint * light[..., None], step(0.7, -0.7, np.abs(x - middle) - half) * (up < 0.34))
        lamp = (np.abs(x - middle) < unit * 0.014) & (up >= 0.34) & (up < 0.372)
        cover(layer, (1.6, 1.2, 0.5), lamp.astype(np.float32))
        roof = (np.abs(x - middle) < unit * (0.4 - up) * 0.7) & (up >= 0.372)
        cover(layer, (0.25, 0.06, 0.05), roof.astype(np.float32))

    def picture(self, time: float) -> np.ndarray:
        """(h, w, 3) float32 linear light at `time` seconds."""
        rows, columns, horizon = self.height, self.width, self.horizon
        pan = rows * (0.16 + 0.1 * time)
        above = slide(self.sky, pan * 0.35, (horizon, columns))
        above = over(above, slide(self.town, pan, (horizon, columns)))
        picture = np.zeros((rows, columns, 3), np.float32)
        picture[:horizon] = above
        picture[horizon:] = above[::-1][: rows - horizon]
        paths = self._paths(time)
        mirrored = picture.copy()
        for sprite, (x, y, size, lean) in zip(self.boats, paths, strict=True):
            middle = y + 0.5 * size * rows
            mirrored = place_sprite(mirrored, sprite[::-1], x, middle, size, -lean)
        picture[horizon:] = self._water(mirrored, pan, time)
        for sprite, (x, y, size, lean) in zip(self.boats, paths, strict=True):
            picture = place_sprite(picture, sprite, x, y - 0.5 * size * rows, size, lean)
        return picture

    def _water(self, mirrored: np.ndarray, pan: float, time: float) -> np.ndarray:
        rows, columns, horizon = self.height, self.width, self.horizon
        y, x = np.mgrid[horizon:rows, :columns].astype(np.float32)
        below = (y - horizon + 1) / rows
        far = 1 / (below + 0.02)
        across = (x + pan - columns / 2) * far / rows * 130
        first = look_up(self.waves, across + 40 * time, far * 90 + 25 * time)
        second = look_up(self.waves, across * 1.7 - 30 * time, far * 160 - 18 * time)
        swell = first + second - 1
        sway = swell * rows * (0.012 + 0.1 * below)
        bottom = mirrored[horizon:]
        mirror = cv2.remap(
            bottom,
            x + 0.35 * sway,
            np.clip(y - horizon + sway, 0, rows - horizon - 1),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        clear = np.clip(0.82 - 0.75 * below + 0.5 * swell, 0.12, 0.9)
        water = mix(np.full(mirror.shape, (0.02, 0.09, 0.12), np.float32), mirror, clear)
        return water + (step(0.5, 0.75, swell) * 0.3)[..., None] * floats((1.0, 0.6, 0.35))

    def _paths(self, time: float) -> list[tuple[float, float, float, float]]:
        """For each boat: x of its middle, y of its waterline, its size, its lean; from far to near."""
        rows = self.height
        bob = [0.004 * rows * math.sin(2.1 * time + phase) for phase in (0, 1, 2)]
        roll = [0.03 * math.sin(1.6 * time + phase) for phase in (0.3, 1.4, 2.2)]
        return [
            (rows * (1.15 - 0.15 * time), rows * 0.61 + bob[0], 0.36, roll[0]),
            (rows * (0.34 + 0.16 * time), rows * 0.69 + bob[1], 0.55, roll[1]),
            (rows * (1.42 - 0.22 * time), rows * 0.83 + bob[2], 0.74, roll[2]),
        ]


def boat(height: int, colours: Sequence[Sequence[float]], seed: int) -> np.ndarray:
    """(n, n, 4) float32, premultiplied: a boat coloured (main sail, fore sail, hull), down to its waterline."""
    n = max(int(height * 0.9), 48)
    size = (n, n)
    y, x = (np.mgrid[:n, :n].astype(np.float32) + 0.5) / n
    layer = np.zeros((n, n, 4), np.float32)
    cloth = 0.85 + 0.3 * noise(size, n / 8, seed, 4)
    main, fore, hull = (floats(colour) for colour in colours)
    curve = np.linspace(0, 1, 16)
    leech = [(0.47 - 0.32 * t - 0.05 * math.sin(math.pi * t), 0.06 + 0.68 * t) for t in curve]
    sail = polygon(size, [(0.47, 0.06), *leech, (0.47, 0.76)])
    seams = 0.93 + 0.07 * np.cos((y + 0.15 * x) * 70)
    belly = 0.45 + 1.1 * np.clip((x - 0.12) / 0.36, 0, 1)
    warm = floats((1.35, 1.0, 0.75))
    cover(layer, main * warm * (belly * seams * cloth)[..., None], sail)
    luff = [(0.51 + 0.32 * t + 0.03 * math.sin(math.pi * t), 0.14 + 0.6 * t) for t in curve]
    jib = polygon(size, [(0.51, 0.14), *luff, (0.55, 0.77)])
    belly = 1.25 - 1.5 * np.clip((x - 0.52) / 0.32, 0, 0.6)
    cover(layer, fore * warm * (belly * seams * cloth)[..., None], jib)
    cover(layer, (0.16, 0.09, 0.05), polygon(size, ((0.483, 0.02), (0.493, 0.02), (0.497, 0.84), (0.479, 0.84))))
    cover(layer, (0.16, 0.09, 0.05), polygon(size, ((0.12, 0.765), (0.49, 0.775), (0.49, 0.79), (0.12, 0.775))))
    body = polygon(
        size, ((0.1, 0.83), (0.3, 0.85), (0.6, 0.85), (0.93, 0.8), (0.8, 0.98), (0.72, 1.0), (0.24, 1.0), (0.17, 0.96))
    )
    planks = 0.8 + 0.2 * np.cos(y * 190)
    cover(layer, hull * warm * ((1.25 - 2.2 * (y - 0.8)) * planks * cloth)[..., None], body)
    stripe = polygon(
        size,
        ((0.11, 0.85), (0.3, 0.87), (0.6, 0.87), (0.91, 0.825), (0.9, 0.85), (0.6, 0.895), (0.3, 0.895), (0.12, 0.87)),
    )
    cover(layer, main * 0.9, stripe * body)
    return layer
