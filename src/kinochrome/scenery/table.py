"""Balls on a rug in a sunny room, ray-traced."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .brush import dot, floats, look_up, mix, noise, step

SUN = np.array([-0.62, 0.52, -0.58], np.float32)
"""Towards the light."""


class Table:
    """Balls on a rug by a sunny window, ray-traced: some roll before and behind the others while the camera circles."""

    def __init__(self, height: int, width: int, seed: int) -> None:
        self.height, self.width = height, width
        self.floor = self._planks(seed)
        self.rug = self._rug(seed + 1)
        self.wall = self._wallpaper(seed + 2)
        self.marble = noise((256, 512), 60, seed + 3, 5)
        self.grain = noise((256, 512), 7, seed + 4, 2)

    def _planks(self, seed: int) -> np.ndarray:
        n = 1024
        y, x = np.mgrid[:n, :n].astype(np.float32)
        board = (y // 64).astype(int)
        source = np.random.default_rng(seed)
        offset, tone = source.uniform(0, n, 16).astype(np.float32), source.uniform(0.7, 1.2, 16).astype(np.float32)
        fibre = cv2.resize(noise((n, 64), 7, seed, 3), (n, n), interpolation=cv2.INTER_CUBIC)
        rings = 0.5 + 0.5 * np.sin(40 * look_up(noise((n, n), 300, seed + 1, 3), x * 0.4 + offset[board], y * 2))
        wood = mix(np.full((n, n, 3), (0.32, 0.15, 0.06), np.float32), (0.5, 0.28, 0.12), 0.6 * fibre + 0.4 * rings)
        wood *= tone[board][..., None]
        return wood * np.where(y % 64 < 2, 0.35, 1)[..., None].astype(np.float32)

    def _rug(self, seed: int) -> np.ndarray:
        n = 768
        y, x = np.mgrid[:n, :n].astype(np.float32) / n
        rug = np.full((n, n, 3), (0.36, 0.07, 0.06), np.float32)
        for turn, colour in enumerate(((0.06, 0.15, 0.36), (0.42, 0.29, 0.08), (0.08, 0.22, 0.12), (0.3, 0.08, 0.3))):
            wave = np.abs((x * 6 + turn / 4) % 1 - 0.5) + np.abs((y * 6 + turn / 4) % 1 - 0.5)
            rug = mix(rug, colour, step(0.25, 0.22, np.abs(wave - 0.5) * 2))
        edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
        rug = mix(rug, (0.55, 0.47, 0.34), step(0.075, 0.07, edge) * step(0.02, 0.025, edge))
        weave = 0.8 + 0.2 * np.sin(x * n * 1.3) * np.sin(y * n * 1.3)
        return rug * (weave * (0.75 + 0.5 * noise((n, n), 9, seed, 2)))[..., None]

    def _wallpaper(self, seed: int) -> np.ndarray:
        n = 1024
        y, x = np.mgrid[:n, :n].astype(np.float32) / n
        u, v = x * 16 * np.pi, y * 16 * np.pi
        motif = np.sin(u + 0.9 * np.sin(v)) * np.sin(v + 0.9 * np.sin(u)) + 0.4 * np.cos(2 * u) * np.cos(2 * v)
        paper = mix(np.full((n, n, 3), (0.07, 0.21, 0.24), np.float32), (0.25, 0.2, 0.1), step(0.25, 0.4, motif))
        paper = mix(paper, (0.28, 0.1, 0.12), step(-0.5, -0.65, motif))
        panel = (y > 0.86).astype(np.float32)
        grooves = 0.75 + 0.25 * step(0.02, 0.06, np.abs(x * 24 % 1 - 0.5))
        paper = mix(paper, (0.5, 0.47, 0.4), panel * grooves)
        paper = mix(paper, (0.62, 0.58, 0.5), ((y > 0.84) & (y < 0.868)).astype(np.float32))
        return paper * (0.85 + 0.3 * noise((n, n), 14, seed, 3))[..., None]

    def _balls(self, time: float) -> list[tuple[np.ndarray, float, str, np.ndarray]]:
        """Middle, radius, kind and turn of each ball."""
        near, far = -2.5 + 2.1 * time, 2.9 - 1.9 * time
        still = [
            ((-1.35, 0.72, 0.75), "football", 0.5),
            ((0.95, 0.9, 1.0), "beach", 0.9),
            ((-0.15, 0.5, 0.1), "globe", 1.1),
        ]
        still += [
            ((1.5, 0.36, -0.35), "orange", 0.3),
            ((-1.75, 0.34, -0.45), "apple", 0.0),
            ((0.62, 0.27, -0.75), "lemon", 0.4),
        ]
        balls = [(floats(place), place[1], kind, turned(lean, 0.3 + lean)) for place, kind, lean in still]
        balls.append((floats((near, 0.32, -1.5)), 0.32, "wool", turned(-near / 0.32, 0.4)))
        balls.append((floats((far, 0.42, 2.5)), 0.42, "tennis", turned(-far / 0.42, 0.8)))
        return balls

    def picture(self, time: float) -> np.ndarray:
        """(h, w, 3) float32 linear light at `time` seconds."""
        eye, rays = self._rays(time)
        balls = self._balls(time)
        picture = self._room(eye, rays, balls)
        order = sorted(range(len(balls)), key=lambda i: -float(np.linalg.norm(balls[i][0] - eye)))
        for i in order:
            self._draw_ball(picture, eye, rays, balls, i)
        return picture

    def _rays(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        angle = -0.3 + 0.2 * time
        eye = floats((5.2 * math.sin(angle), 2.0 + 0.12 * math.sin(time), -5.2 * math.cos(angle) + 0.4))
        forward = floats((0.05, 0.62, 0.5)) - eye
        forward /= np.linalg.norm(forward)
        right = np.cross((0, 1, 0), forward).astype(np.float32)
        right /= np.linalg.norm(right)
        up = np.cross(forward, right).astype(np.float32)
        across = (np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) / self.height
        down = (np.arange(self.height, dtype=np.float32) + 0.5 - self.height / 2) / self.height
        axes = (forward[:, None, None] * 1.45, right[:, None, None] * across, up[:, None, None] * down[:, None])
        rays = axes[0] + axes[1] - axes[2]
        return eye, rays / np.sqrt(dot(rays, rays))

    def _room(self, eye: np.ndarray, rays: np.ndarray, balls: list) -> np.ndarray:
        """Floor, rug and wall with the window's light and the balls' shadows."""
        with np.errstate(divide="ignore"):
            to_floor, to_wall = -eye[1] / np.minimum(rays[1], -1e-4), (3.6 - eye[2]) / np.maximum(rays[2], 1e-4)
        on_wall = to_wall < to_floor
        place = eye[:, None, None] + rays * np.minimum(to_floor, to_wall)
        x, y, z = place
        surface = look_up(self.floor, x * 128, z * 128)
        rug = step(2.55, 2.53, np.abs(x)) * step(1.75, 1.73, np.abs(z - 0.35))
        surface = mix(surface, look_up(self.rug, (x + 2.55) * 150.58, (z + 1.4) * 219.43), rug)
        wall = look_up(self.wall, x * 170, 1023 - np.clip(y, 0, 5) * 190)
        surface = np.where(on_wall[..., None], wall, surface)
        normal = np.where(on_wall, floats((0, 0, -1))[:, None, None], floats((0, 1, 0))[:, None, None])
        sun, sky = self._light(place, normal, balls)
        corner = 1 - 0.45 * np.exp(-2.2 * np.where(on_wall, y, 3.6 - z))
        return surface * (
            sun[..., None] * floats((2.9, 2.3, 1.5)) + (sky * corner)[..., None] * floats((0.42, 0.46, 0.55))
        )

    def _light(self, place: np.ndarray, normal: np.ndarray, others: list) -> tuple[np.ndarray, np.ndarray]:
        """How much sun (through the window, past the other balls) and how much sky reaches a surface."""
        sun_way = (SUN / np.linalg.norm(SUN))[:, None, None]
        sun = np.clip(dot(normal, sun_way), 0, 1)
        reach = (-6.0 - place[0]) / sun_way[0]
        across, height = (place[2] + reach * sun_way[2]) * 0.42 + 2.47, (place[1] + reach * sun_way[1]) * 0.42 - 1.94
        pane = step(0.02, 0.07, np.abs(across * 2 % 1 - 0.5) * -1 + 0.5) * step(
            0.02, 0.07, np.abs(height * 1.5 % 1 - 0.5) * -1 + 0.5
        )
        sun = (
            sun
            * pane
            * step(-1.0, -0.95, across)
            * step(1.0, 0.95, across)
            * step(0, 0.05, height)
            * step(2, 1.95, height)
        )
        sky = np.ones_like(sun)
        for middle, radius, _, _ in others:
            away = middle[:, None, None] - place
            along = dot(away, sun_way)
            miss = np.sqrt(np.maximum(dot(away, away) - along * along, 0))
            soft = 0.05 + 0.06 * np.maximum(along, 0)
            sun = sun * np.where(along > 0, step(-0.5, 0.5, (miss - radius) / soft), 1)
            distance = np.sqrt(dot(away, away))
            sky = sky * (1 - np.clip(dot(normal, away) / distance, 0, 1) * np.minimum(radius / distance, 1) ** 2)
        return sun, sky

    def _draw_ball(self, picture: np.ndarray, eye: np.ndarray, rays: np.ndarray, balls: list, number: int) -> None:
        middle, radius, kind, turn = balls[number]
        away = middle - eye
        along = dot(rays, away)
        miss = np.sqrt(np.maximum(float(dot(away, away)) - along * along, 0))
        pixel = floats(np.linalg.norm(away)) / (1.45 * self.height)
        rows, columns = np.nonzero(miss < radius + pixel)
        if not len(rows):
            return
        box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        ray, along, miss = rays[:, box[0], box[1]], along[box], miss[box]
        depth = along - np.sqrt(np.maximum(radius * radius - miss * miss, 0))
        place = eye[:, None, None] + ray * depth
        normal = (place - middle[:, None, None]) / radius
        local = np.tensordot(turn, normal, 1)
        colour, bump, gloss = self._skin(kind, local)
        normal = normal + np.tensordot(turn.T, bump, 1)
        normal = normal / np.sqrt(dot(normal, normal))
        sun, sky = self._light(place, normal, balls[:number] + balls[number + 1 :])
        bounce = np.clip(0.5 - 0.5 * normal[1], 0, 1)
        light = sun[..., None] * floats((2.9, 2.3, 1.5)) + (sky * (0.55 + 0.45 * normal[1]))[..., None] * floats(
            (0.5, 0.55, 0.66)
        )
        light = light + bounce[..., None] * floats((0.3, 0.17, 0.1)) * 0.8
        half = (SUN / np.linalg.norm(SUN))[:, None, None] - ray
        half = half / np.sqrt(dot(half, half))
        shine = gloss * (sun > 0.02) * np.clip(dot(normal, half), 0, 1) ** 60 * 2.2
        rim = gloss * 0.35 * np.clip(1 + dot(normal, ray), 0, 1) ** 4 * sky
        ball = colour * light + (shine + rim)[..., None]
        cover = np.clip((radius - miss) / pixel + 0.5, 0, 1)
        picture[box] = mix(picture[box], ball, cover)

    def _skin(self, kind: str, local: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Colour, bump (3, h, w) and gloss of a ball's surface at unit vectors `local`."""
        x, y, z = local
        east, north = np.arctan2(z, x) / (2 * np.pi) * 512, np.arcsin(np.clip(y, -1, 1)) / np.pi * 256 + 128
        marble, grain = look_up(self.marble, east, north), look_up(self.grain, east * 2, north * 2)
        flat = np.zeros_like(local)
        blank = np.ones((*x.shape, 3), np.float32)
        if kind == "football":
            corners = floats([(0, a, b * 1.618) for a in (-1, 1) for b in (-1, 1)])
            corners = np.concatenate([np.roll(corners, i, 1) for i in range(3)]) / 1.902
            nearest = np.max(np.tensordot(corners, local, 1), 0)
            patches = mix(blank * 0.78, (0.035, 0.035, 0.04), step(0.925, 0.932, nearest))
            return patches * (0.9 + 0.15 * grain)[..., None], flat, 0.5
        if kind == "beach":
            colours = floats(
                [
                    (0.75, 0.07, 0.05),
                    (0.8, 0.78, 0.72),
                    (0.03, 0.28, 0.5),
                    (0.8, 0.55, 0.04),
                    (0.05, 0.4, 0.17),
                    (0.78, 0.3, 0.04),
                ]
            )
            lune = (np.arctan2(z, x) / (2 * np.pi) * 6) % 6
            skin = (
                colours[lune.astype(int) % 6]
                * (0.85 + 0.15 * step(0, 0.03, np.minimum(lune % 1, 1 - lune % 1)))[..., None]
            )
            return mix(skin, (0.8, 0.78, 0.72), step(0.955, 0.965, np.abs(y))), flat, 1.0
        if kind == "globe":
            land = step(0.5, 0.53, marble)
            sea = mix(blank * floats((0.03, 0.13, 0.36)), (0.06, 0.3, 0.42), marble)
            skin = mix(sea, mix(blank * floats((0.12, 0.3, 0.06)), (0.5, 0.34, 0.14), step(0.55, 0.75, marble)), land)
            return mix(skin, (0.75, 0.78, 0.8), step(0.82, 0.88, np.abs(y) + 0.1 * grain)), flat, 0.9
        if kind in ("orange", "lemon"):
            skin = blank * floats((0.85, 0.28, 0.02) if kind == "orange" else (0.82, 0.62, 0.05))
            dimples = 0.35 * (grain - 0.5) * np.stack((z, x, y))
            return skin * (0.8 + 0.35 * grain)[..., None], dimples, 0.45
        if kind == "apple":
            streaks = look_up(self.grain, east * 2, north * 0.12)
            skin = mix(blank * floats((0.55, 0.03, 0.03)), (0.55, 0.4, 0.06), step(0.45, 0.9, streaks + 0.25 * marble))
            return mix(skin, (0.2, 0.3, 0.04), step(0.8, 1, y)), flat, 0.9
        if kind == "wool":
            way = np.where(marble > 0.5, x * 0.8 + z * 0.6, y * 0.7 - z * 0.7)
            strand = 0.5 + 0.5 * np.sin(way * 70)
            return (
                mix(blank * floats((0.2, 0.05, 0.3)), (0.5, 0.2, 0.6), strand),
                0.25 * (strand - 0.5) * np.stack((x, z, y)),
                0.05,
            )
        seam = np.abs(np.abs(y) - 0.45 - 0.4 * np.cos(2 * np.arctan2(z, x)) * np.sign(y))
        skin = mix(blank * floats((0.45, 0.6, 0.06)), (0.75, 0.75, 0.7), step(0.09, 0.05, seam))
        return skin * (0.7 + 0.5 * grain)[..., None], 0.2 * (grain - 0.5) * np.stack((z, x, y)), 0.0


def turned(roll: float, lean: float) -> np.ndarray:
    """(3, 3) float32: a turn by `roll` about the z axis, then by `lean` about x."""
    a, b = math.cos(roll), math.sin(roll)
    c, d = math.cos(lean), math.sin(lean)
    tip = np.array([[1, 0, 0], [0, c, -d], [0, d, c]], np.float32)
    return np.array([[a, b, 0], [-b, a, 0], [0, 0, 1]], np.float32) @ tip
