"""A street of painted houses: a tram and walkers pass behind lamps and trees."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .brush import cover, floats, look_up, mix, noise, over, place_sprite, polygon, slide, step, tile

WALLS = (
    (0.55, 0.36, 0.12),
    (0.5, 0.26, 0.24),
    (0.27, 0.38, 0.42),
    (0.35, 0.4, 0.2),
    (0.6, 0.52, 0.4),
    (0.42, 0.3, 0.44),
)
TRIMS = ((0.12, 0.24, 0.1), (0.1, 0.2, 0.34), (0.4, 0.08, 0.07), (0.3, 0.2, 0.08), (0.1, 0.28, 0.28))


class Street:
    """The camera walks along; what is nearer slides by faster."""

    def __init__(self, height: int, width: int, seed: int) -> None:
        self.height, self.width = height, width
        self.foot = round(height * 0.74)
        self.sky = self._sky(seed)
        self.houses = self._houses(seed + 1)
        self.stones = tile(self._stones(seed + 2))
        self.front = self._front(seed + 3)
        self.tram = tram(height, seed + 4)

    def _sky(self, seed: int) -> np.ndarray:
        size = (self.foot, int(self.width * 1.2))
        up = np.linspace(1, 0, size[0], dtype=np.float32)[:, None] * np.ones((1, size[1]), np.float32)
        sky = mix(np.full((*size, 3), (0.62, 0.72, 0.82), np.float32), (0.16, 0.36, 0.75), up)
        return mix(sky, (1.0, 0.98, 0.95), step(0.45, 0.85, noise(size, self.height * 0.3, seed, 6)))

    def _houses(self, seed: int) -> np.ndarray:
        """A wide premultiplied layer of facades, the sun's shadow line across them."""
        rows, columns = self.foot, int(self.width * 1.75)
        layer = np.zeros((rows, columns, 4), np.float32)
        source = np.random.default_rng(seed)
        left, number = -0.1 * rows, 0
        while left < columns:
            wide = source.uniform(0.42, 0.6) * self.height
            top = rows - source.uniform(0.5, 0.66) * self.height
            first, last = max(int(left), 0), min(int(left + wide), columns)
            if last > first:
                whole = facade((rows, int(wide) + 1), top, number, source)
                part = whole[:, first - int(left) : last - int(left)]
                layer[:, first:last][:, : part.shape[1]] = part
            left, number = left + int(wide), number + 1
        y, x = np.mgrid[:rows, :columns].astype(np.float32)
        roofs = noise((1, columns), self.height * 0.35, seed + 1, 1)[0]
        edge = rows - self.height * (0.04 + 0.22 * np.round(roofs * 3) / 3)[None] - 0.12 * (x % (0.7 * self.height))
        lit = step(4, -4, y - edge)
        light = lit[..., None] * floats((1.55, 1.32, 1.0)) + floats((0.42, 0.48, 0.6))
        grime = 1 - 0.35 * step(rows - 0.1 * self.height, rows, y)
        layer[..., :3] *= light * (grime * (0.88 + 0.24 * noise((rows, columns), 8, seed + 2, 4)))[..., None]
        return layer

    def _stones(self, seed: int) -> np.ndarray:
        """Cobbles seen from straight above."""
        n = 256
        y, x = np.mgrid[:n, :n].astype(np.float32)
        row = (y // 16).astype(int)
        column = ((x + 8 * (row % 2)) // 16).astype(int)
        tones = np.random.default_rng(seed).uniform(0.55, 1.25, (17, 18)).astype(np.float32)
        joint = np.minimum(np.abs((x + 8 * (row % 2)) % 16 - 8), 8) ** 4 + np.abs(y % 16 - 8) ** 4
        stone = tones[row, column] * (0.3 + 0.7 * step(4400, 1800, joint)) * (0.7 + 0.5 * noise((n, n), 5, seed, 3))
        return (
            mix(np.full((n, n, 3), (0.3, 0.27, 0.25), np.float32), (0.36, 0.28, 0.2), tones[column % 17, row])
            * stone[..., None]
        )

    def _front(self, seed: int) -> np.ndarray:
        """A wide premultiplied layer of trees and lamp posts on the near side."""
        rows, columns = self.height, int(self.width * 2)
        layer = np.zeros((rows, columns, 4), np.float32)
        source = np.random.default_rng(seed)
        for place in (0.28, 1.02):
            self._tree(layer, place * self.width, source)
        unit = self.height
        for place in (0.72, 1.42):
            middle = place * self.width
            for half, top, bottom in ((0.007, 0.3, 0.93), (0.016, 0.8, 0.93), (0.026, 0.275, 0.29)):
                box = ((-half, top), (half, top), (half * 1.2, bottom), (-half * 1.2, bottom))
                shape = polygon((rows, columns), [(middle / columns + x * unit / columns, y) for x, y in box])
                cover(layer, (0.05, 0.09, 0.075), shape)
            glass = ((-0.017, 0.2), (0.017, 0.2), (0.024, 0.275), (-0.024, 0.275))
            cover(
                layer,
                (0.95, 0.85, 0.6),
                polygon((rows, columns), [(middle / columns + x * unit / columns, y) for x, y in glass]),
            )
        return layer

    def _tree(self, layer: np.ndarray, middle: float, source: np.random.Generator) -> None:
        rows, columns = layer.shape[:2]
        unit = self.height
        trunk = ((-0.018, 0.4), (0.018, 0.4), (0.03, 0.94), (-0.03, 0.94))
        shape = polygon((rows, columns), [(middle / columns + x * unit / columns, y) for x, y in trunk])
        across = np.clip((np.arange(columns, dtype=np.float32) - middle) / (0.03 * unit), -1, 1)
        bark = (0.75 + 0.5 * across) * (0.5 + 0.9 * noise((rows, columns), 5, 3, 2))
        cover(layer, floats((0.2, 0.13, 0.08)) * bark[..., None], shape)
        for _ in range(850):
            angle, reach = source.uniform(0, 2 * np.pi), math.sqrt(source.random())
            x, y = 0.26 * reach * math.cos(angle), 0.2 * reach * math.sin(angle)
            light = 0.45 + 1.0 * max(0.0, 0.5 + 1.6 * x - 2.2 * y) * source.uniform(0.6, 1.3)
            leaf = floats((0.1, 0.24, 0.03) if source.random() > 0.2 else (0.3, 0.26, 0.03)) * light
            size = source.uniform(0.008, 0.02) * unit
            self._leaf(layer, (middle + x * unit, (0.26 + y) * unit), size, leaf)

    def _leaf(self, layer: np.ndarray, place: tuple[float, float], size: float, colour: np.ndarray) -> None:
        reach = int(size) + 2
        x, y = int(place[0]), int(place[1])
        if x < reach or y < reach or x + reach >= layer.shape[1]:
            return
        rows, columns = np.mgrid[y - reach : y + reach + 1, x - reach : x + reach + 1].astype(np.float32)
        away = np.hypot((columns - place[0]) * 0.8, (rows - place[1]) * 1.2)
        cover(layer[y - reach : y + reach + 1, x - reach : x + reach + 1], colour, step(size + 0.7, size - 0.7, away))

    def picture(self, time: float) -> np.ndarray:
        """(h, w, 3) float32 linear light at `time` seconds."""
        rows, columns, foot = self.height, self.width, self.foot
        pan = rows * (0.12 + 0.2 * time)
        picture = np.zeros((rows, columns, 3), np.float32)
        above = slide(self.sky, pan * 0.15, (foot, columns))
        picture[:foot] = over(above, slide(self.houses, pan, (foot, columns)))
        picture[foot:] = self._ground(pan)
        for number in (0, 1):
            self._walk(picture, number, pan, time)
        tram_x = rows * (-0.62 + 0.78 * time)
        self._shadow(picture, tram_x, rows * 0.845, 0.62, 0.035)
        picture = place_sprite(picture, self.tram, tram_x, rows * 0.66, 0.4, 0.002 * math.sin(9 * time))
        for number in (2, 3, 4):
            self._walk(picture, number, pan, time)
        return over(picture, slide(self.front, pan * 1.5 - 0.15 * rows, (rows, columns)))

    def _ground(self, pan: float) -> np.ndarray:
        rows, columns, foot = self.height, self.width, self.foot
        y, x = np.mgrid[foot:rows, :columns].astype(np.float32)
        depth = 0.24 / (y / rows - 0.5 + 1e-3)
        across = ((x - columns / 2) / rows * depth + pan / rows) * 330
        away = depth * 900
        stones = look_up(self.stones, across, away)
        kerb = step(0.77, 0.774, y / rows) * step(0.93, 0.926, y / rows)
        slabs = (
            floats((0.42, 0.38, 0.33))
            * (0.75 + 0.3 * look_up(self.stones[..., 0], across * 0.3, away * 0.3))[..., None]
        )
        ground = mix(slabs, stones, kerb)
        for rail in (0.825, 0.852):
            ground = mix(ground, (0.5, 0.5, 0.55), step(0.0022, 0.0012, np.abs(y / rows - rail)))
        ground = mix(ground, (0.16, 0.14, 0.13), step(0.003, 0.002, np.abs(y / rows - 0.774)))
        lit = step(0.86, 0.9, y / rows + 0.02 * np.sin(across * 0.02))
        return ground * (lit[..., None] * floats((1.3, 1.05, 0.8)) + floats((0.6, 0.62, 0.72)))

    def _shadow(self, picture: np.ndarray, x: float, y: float, wide: float, tall: float) -> None:
        """Darkens the ground softly in an ellipse."""
        first, last = max(int(y - 2 * tall * self.height), 0), min(int(y + 2 * tall * self.height), self.height)
        rows, columns = np.mgrid[first:last, : self.width].astype(np.float32)
        away = np.hypot((columns - x) / (wide * self.height), (rows - y) / (tall * self.height))
        picture[first:last] *= (1 - 0.6 * step(1.2, 0.6, away))[..., None]

    def _walk(self, picture: np.ndarray, number: int, pan: float, time: float) -> None:
        """Draws one walker in place: start, speed, foot and height in picture heights."""
        start, speed, foot, tall = (
            (0.5, 0.1, 0.79, 0.2),
            (1.75, -0.12, 0.785, 0.19),
            (1.45, -0.2, 0.925, 0.3),
            (1.62, -0.21, 0.935, 0.31),
            (0.2, 0.3, 0.95, 0.33),
        )[number]
        rows = self.height
        near = (foot - 0.5) / 0.24
        x = rows * (start + speed * time) - (pan - 0.1 * rows) * near * 0.8 + rows * 0.12 * (number > 1)
        if not -rows * 0.3 < x < self.width + rows * 0.3:
            return
        phase = time * 2 * math.pi * 0.95 + number * 1.3
        sprite = walker(max(int(tall * rows * 1.5), 32), number, phase, math.copysign(1, speed))
        self._shadow(picture, x + 0.03 * rows, rows * foot, 0.09 * tall / 0.3, 0.01)
        picture[:] = place_sprite(
            picture, sprite, x, rows * (foot - tall / 2) - abs(math.sin(phase)) * 0.006 * rows, tall, 0.0
        )


def facade(size: tuple[int, int], top: float, number: int, source: np.random.Generator) -> np.ndarray:
    """(h, w, 4) float32, premultiplied: one unlit house front whose wall begins at row `top`."""
    rows, columns = size
    layer = np.zeros((rows, columns, 4), np.float32)
    wall, trim = floats(WALLS[number % len(WALLS)]), floats(TRIMS[(number * 2) % len(TRIMS)])
    head = top / rows

    def box(x: float, y: float, right: float, below: float) -> np.ndarray:
        return polygon(size, ((x, y), (right, y), (right, below), (x, below)))

    y = np.mgrid[:rows, :columns][0].astype(np.float32)
    roof = polygon(size, ((-0.1, head), (0.1, head - 0.17), (0.9, head - 0.17), (1.1, head)))
    tiles = 0.7 + 0.3 * np.abs(np.sin(y * 0.9))
    cover(layer, floats((0.4, 0.14, 0.08)) * source.uniform(0.7, 1.15) * tiles[..., None], roof)
    cover(layer, (0.33, 0.17, 0.12), box(0.68, head - 0.24, 0.76, head - 0.05))
    cover(layer, wall, box(-0.1, head, 1.1, 1.1))
    cover(layer, (0.62, 0.57, 0.48), box(-0.1, head - 0.015, 1.1, head + 0.018))
    cover(layer, (0.08, 0.07, 0.07), box(-0.1, head + 0.018, 1.1, head + 0.028) * 0.55)
    storeys, across = 2, (3 if columns > rows * 0.68 else 2)
    tall = (0.69 - head) / storeys
    for storey in range(storeys):
        for place in range(across):
            middle = (place + 0.5) / across
            _window(layer, box, (middle, head + tall * (storey + 0.28), 0.17 / across, tall * 0.56), (trim, source))
    _shop(layer, box, trim, number)
    cover(layer, (0.1, 0.09, 0.08), box(0.985, head, 1.1, 1.1) * 0.5)
    return layer


def _window(layer: np.ndarray, box, place: tuple[float, float, float, float], paint: tuple) -> None:
    middle, top, half, tall = place
    trim, source = paint
    below = top + tall
    cover(layer, (0.62, 0.58, 0.5), box(middle - half * 1.25, top - 0.03, middle + half * 1.25, below + 0.015))
    cover(layer, (0.05, 0.08, 0.12), box(middle - half, top, middle + half, below))
    cover(
        layer,
        (0.3, 0.42, 0.55),
        box(middle - half, top, middle + half * source.uniform(-0.2, 0.8), top + tall * 0.55) * 0.7,
    )
    for bar in (
        box(middle - half * 0.08, top, middle + half * 0.08, below),
        box(middle - half, top + tall * 0.4, middle + half, top + tall * 0.45),
    ):
        cover(layer, (0.6, 0.57, 0.5), bar)
    for side in (-1, 1):
        inner, outer = middle + side * half * 1.25, middle + side * half * 2.2
        cover(layer, trim, box(min(inner, outer), top - 0.01, max(inner, outer), below))
        for slat in np.linspace(top, below - 0.02, 9):
            cover(
                layer,
                trim * 0.45,
                box(min(inner, outer) + half * 0.15, slat, max(inner, outer) - half * 0.15, slat + 0.006),
            )
    flowers = box(middle - half * 1.3, below - 0.02, middle + half * 1.3, below + 0.02)
    bloom = source.random(flowers.shape).astype(np.float32)
    colours = floats([(0.65, 0.05, 0.08), (0.1, 0.28, 0.04), (0.62, 0.2, 0.4), (0.1, 0.3, 0.05), (0.65, 0.45, 0.05)])
    cover(layer, colours[(bloom * 4.99).astype(int)], flowers)
    cover(layer, (0.3, 0.14, 0.07), box(middle - half * 1.3, below + 0.016, middle + half * 1.3, below + 0.035))


def _shop(layer: np.ndarray, box, trim: np.ndarray, number: int) -> None:
    """Ground floor: a window with goods, a door, and a striped awning on every other house."""
    cover(layer, trim * 0.8, box(0.06, 0.74, 0.94, 1.1))
    cover(layer, (0.07, 0.09, 0.1), box(0.1, 0.79, 0.6, 0.95))
    goods = ((0.5, 0.3, 0.05), (0.45, 0.07, 0.06), (0.1, 0.25, 0.4), (0.35, 0.35, 0.3), (0.2, 0.32, 0.08))
    for place, colour in enumerate(goods):
        cover(layer, colour, box(0.13 + 0.09 * place, 0.9 - 0.02 * (place * 3 % 4), 0.19 + 0.09 * place, 0.95))
    cover(layer, (0.26, 0.12, 0.06), box(0.68, 0.79, 0.86, 1.0))
    cover(layer, (0.1, 0.13, 0.16), box(0.71, 0.81, 0.83, 0.88))
    for stripe in range(12 if number % 2 == 0 else 0):
        left = 0.06 + stripe * 0.05
        colour = (0.75, 0.7, 0.6) if stripe % 2 else WALLS[(number + 1) % len(WALLS)]
        cover(layer, floats(colour) * 1.1, box(left, 0.735, left + 0.051, 0.81 + 0.008 * (stripe % 2)))


def tram(height: int, seed: int) -> np.ndarray:
    """(n, 3n, 4) float32, premultiplied: a red and cream tram car."""
    n = max(int(height * 0.45), 40)
    size = (n, 3 * n)
    layer = np.zeros((*size, 4), np.float32)
    y, x = (np.mgrid[:n, : 3 * n].astype(np.float32) + 0.5) / n

    def box(left: float, top: float, right: float, below: float) -> np.ndarray:
        return polygon(size, [(left / 3, top), (right / 3, top), (right / 3, below), (left / 3, below)])

    for wheel in (0.5, 0.85, 2.15, 2.5):
        cover(layer, (0.05, 0.05, 0.06), step(0.1, 0.09, np.hypot(x - wheel, y - 0.9)))
    body = polygon(
        size,
        [(0.03, 0.25), (0.05, 0.2), (0.95, 0.2), (0.97, 0.25), (0.975, 0.6), (0.96, 0.88), (0.04, 0.88), (0.025, 0.6)],
    )
    sheen = 0.8 + 0.5 * np.exp(-(((y - 0.64) / 0.06) ** 2)) - 0.25 * step(0.7, 0.9, y)
    dirt = 0.9 + 0.2 * noise(size, n / 5, seed, 4)
    cover(layer, floats((0.62, 0.07, 0.05)) * (sheen * dirt)[..., None], body)
    cover(layer, floats((0.85, 0.74, 0.5)) * dirt[..., None], body * step(0.575, 0.57, y))
    cover(layer, (0.7, 0.5, 0.1), box(0.09, 0.6, 2.91, 0.612) + box(0.09, 0.8, 2.91, 0.808))
    cover(
        layer,
        floats((0.3, 0.3, 0.3)) * dirt[..., None],
        polygon(size, [(0.04, 0.2), (0.08, 0.13), (0.92, 0.13), (0.96, 0.2)]),
    )
    people = np.random.default_rng(seed)
    for place in range(8):
        left = 0.42 + 0.275 * place
        glass = box(left, 0.27, left + 0.225, 0.54)
        sky = np.clip(1.2 - 2.6 * (y - 0.27) - 0.6 * (x - left), 0, 1)[..., None]
        cover(layer, floats((0.04, 0.06, 0.07)) + floats((0.3, 0.38, 0.45)) * sky, glass)
        if people.random() > 0.3:
            middle = left + people.uniform(0.07, 0.15)
            cover(layer, floats((0.45, 0.28, 0.2)), step(0.042, 0.035, np.hypot(x - middle, y - 0.4)) * 0.8)
            coat = floats(TRIMS[people.integers(len(TRIMS))]) * 1.3
            cover(layer, coat, step(0.085, 0.075, np.hypot(x - middle, (y - 0.53) * 0.9)) * glass * 0.8)
    for left in (0.14, 2.68):
        cover(layer, (0.3, 0.05, 0.04), box(left, 0.25, left + 0.19, 0.86))
        cover(layer, (0.1, 0.14, 0.17), box(left + 0.03, 0.28, left + 0.16, 0.6))
    cover(layer, (1.4, 1.2, 0.8), step(0.035, 0.028, np.hypot(x - 2.88, y - 0.7)))
    return layer


def walker(n: int, number: int, phase: float, way: float) -> np.ndarray:
    """(n, n, 4) float32, premultiplied: someone under a parasol, legs at `phase` of the stride."""
    layer = np.zeros((n, n, 4), np.float32)
    size = (n, n)
    y, x = (np.mgrid[:n, :n].astype(np.float32) + 0.5) / n
    swing = 0.075 * math.sin(phase)
    for side in (-1, 1):
        foot = 0.5 + side * swing
        leg = (
            (0.5 - 0.028, 0.72),
            (0.5 + 0.028, 0.72),
            (foot + 0.02, 0.97),
            (foot + 0.045 * way, 0.995),
            (foot - 0.022, 0.995),
        )
        cover(layer, (0.06, 0.06, 0.09) if side < 0 else (0.1, 0.1, 0.14), polygon(size, leg))
    coat: Sequence[float] = (
        (0.4, 0.25, 0.08),
        (0.12, 0.2, 0.38),
        (0.42, 0.08, 0.1),
        (0.1, 0.27, 0.2),
        (0.34, 0.16, 0.36),
    )[number]
    body = polygon(size, ((0.45, 0.4), (0.55, 0.4), (0.585, 0.5), (0.6, 0.78), (0.4, 0.78), (0.415, 0.5)))
    round_light = 0.65 + 0.9 * np.clip((x - 0.4) / 0.2, 0, 1) - 0.2 * np.abs(np.sin(x * 55))
    cover(layer, floats(coat) * round_light[..., None], body)
    cover(
        layer,
        floats(coat) * 0.8,
        polygon(size, ((0.47, 0.44), (0.52, 0.44), (0.52 + 0.09 * way, 0.56), (0.47 + 0.09 * way, 0.58))),
    )
    head = step(0.053, 0.045, np.hypot(x - 0.5, y - 0.345))
    cover(layer, floats((0.5, 0.31, 0.22)) * (0.5 + 1.2 * np.clip((x - 0.44) / 0.12, 0, 1))[..., None], head)
    cover(layer, (0.1, 0.06, 0.04), head * step(0.335, 0.32, y + 0.3 * way * (x - 0.5)))
    stick = 0.5 + 0.08 * way
    cover(
        layer,
        (0.12, 0.1, 0.08),
        polygon(size, ((stick - 0.005, 0.1), (stick + 0.005, 0.1), (stick + 0.005, 0.56), (stick - 0.005, 0.56))),
    )
    across = np.clip((x - stick) / 0.24, -1, 1)
    dome = np.sqrt(np.clip(1 - across**2, 0, 1))
    rim = 0.27 - 0.02 * np.abs(np.sin((np.arcsin(across) / np.pi + 0.5) * 6 * np.pi))
    inside = step(-0.012, 0.012, rim - y) * step(-0.012, 0.012, y - (0.27 - 0.2 * dome)) * (np.abs(x - stick) < 0.24)
    panel = ((np.arcsin(across) / np.pi + 0.5) * 5.999).astype(int)
    first = floats(
        ((0.62, 0.1, 0.1), (0.5, 0.36, 0.05), (0.12, 0.33, 0.36), (0.55, 0.3, 0.06), (0.2, 0.36, 0.1))[number]
    )
    cloth = np.where((panel % 2)[..., None], first, floats((0.7, 0.66, 0.58)) if number % 2 else first * 0.7)
    cover(layer, cloth * (0.6 + 0.85 * dome * (0.6 + 0.4 * across))[..., None], inside)
    return layer
