"""What age does to black-and-white film, done to clean colour clips: a network shall see what it will be given.

Clips are float32 on the CPU: Lab (T, 3, H, W), a frame's lightness 0..100. Every kind of wear is a function of frames
(T, H, W), a generator and a strength above 0; it returns new frames. The same generator gives the same film.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch

Random = np.random.Generator
Kind = Callable[[np.ndarray, Random, float], np.ndarray]
Draw = Callable[[np.ndarray, Random], None]


@dataclass(frozen=True)
class Wear:
    """How old a film may look. 0 is never: `Wear()` changes nothing."""

    orthochromatic: float = 0.0
    """Probability that a clip was shot on stock blind to red, as most before 1926."""
    blue_sensitive: float = 0.0
    """Probability that it was shot on stock that sees little but blue, as the first."""
    often: float = 0.5
    """Probability, a clip, of each of what follows, rounding apart; how strong it is lies evenly between 0 and the
    figure given."""
    vignetting: float = 0.0
    """Share of lightness lost in the corners."""
    softness: float = 0.0
    """Pixels of blur: the standard deviation, or what is lost to a smaller picture in between."""
    tone: float = 0.0
    """Logarithm of gamma, either way; also how much of an S-curve is added or taken."""
    flicker: float = 0.0
    """Standard deviation of the lightness from frame to frame, as a share of it; half as much across a frame."""
    grain: float = 0.0
    """Standard deviation in lightness of middle grey."""
    fading: float = 0.0
    """Share of the contrast lost to a light grey."""
    scratches: float = 0.0
    """How many are in sight at a time, on average."""
    dust: float = 0.0
    """How many specks there are on a frame, on average."""
    hairs: float = 0.0
    """How many fibres there are on a frame, on average."""
    compression: float = 0.0
    """How coarse JPEG is: 0 is quality 95, 1 quality 10."""
    rounding: float = 0.0
    """Probability that lightness comes in the 219 steps of 8-bit video."""


OLD_FILM = Wear(
    orthochromatic=0.25,
    blue_sensitive=0.05,
    vignetting=0.35,
    softness=1.2,
    tone=0.4,
    flicker=0.06,
    grain=6.0,
    fading=0.35,
    scratches=3.0,
    dust=4.0,
    hairs=0.3,
    compression=0.8,
    rounding=0.5,
)
"""Film as archives have it, from well kept to worn; set by eye."""


def age(lab: torch.Tensor, random: Random, wear: Wear) -> torch.Tensor:
    """Lightness (T, 1, H, W), 0..100, of the clip on film as old as `wear` allows; a copy where nothing befell it."""
    # A stream of its own for each, so that one taken away leaves the others as they were.
    streams = [np.random.default_rng(seed) for seed in random.integers(1 << 62, size=len(KINDS) + 2)]
    stock = _stock(streams[-1].random(), wear)
    lightness = lab[:, :1] if stock is None else sensed(lab, stock)
    clean = frames = lightness[:, 0].numpy()
    for (name, kind), own in zip(KINDS.items(), streams, strict=False):
        befalls, strength = own.random() < wear.often, own.random() * getattr(wear, name)
        if befalls and strength > 0:
            frames = kind(frames, own, strength)
    if streams[-2].random() < wear.rounding:
        frames = rounded(frames)
    return lightness.clone() if frames is clean else torch.from_numpy(np.clip(frames, 0, 100))[:, None]


# --- Stock ---

ORTHOCHROMATIC = (0.04, 0.56, 0.40)
BLUE_SENSITIVE = (0.0, 0.08, 0.92)
"""Share of red, green and blue light in what the film saw; by eye after published curves, which end at about 590 and
500 nm. Panchromatic stock saw about what we do."""


def _stock(chance: float, wear: Wear) -> tuple[float, ...] | None:
    if chance < wear.orthochromatic:
        return ORTHOCHROMATIC
    return BLUE_SENSITIVE if chance < wear.orthochromatic + wear.blue_sensitive else None


def sensed(lab: torch.Tensor, shares: tuple[float, ...]) -> torch.Tensor:
    """Lightness (T, 1, H, W) on a film that sees these shares of red, green and blue light; greys stay as they are."""
    frames = []
    for frame in lab.permute(0, 2, 3, 1).contiguous().numpy():
        # OpenCV's linear light is within 1e-4 of `kinochrome.color`'s, in a thirtieth of the time.
        light = np.clip(cv2.cvtColor(frame, cv2.COLOR_LAB2LRGB), 0, 1) @ np.array(shares, np.float32)
        # CIE's L* of light 0..1, which is not that of R', G' and B'.
        frames.append(np.where(light > 216 / 24389, 116 * np.cbrt(light) - 16, light * np.float32(24389 / 27)))
    return torch.from_numpy(np.clip(np.stack(frames), 0, 100))[:, None]


# --- Lens and exposure ---


def vignetting(frames: np.ndarray, random: Random, strength: float) -> np.ndarray:
    """Corners darker by that share, the same in each frame; the brightest place is somewhere near the middle."""
    height, width = frames.shape[1:]
    middle = random.uniform(-0.1, 0.1, 2)
    y = np.linspace(-1, 1, height, dtype=np.float32) - np.float32(middle[0])
    x = np.linspace(-1, 1, width, dtype=np.float32) - np.float32(middle[1])
    return frames * (1 - np.float32(strength / 2) * (y[:, None] ** 2 + x**2))


def softness(frames: np.ndarray, random: Random, strength: float) -> np.ndarray:
    """Blurred, by a bad lens and copies of copies, or by a smaller picture in between."""
    if random.random() < 0.5:
        return np.stack([cv2.GaussianBlur(frame, (0, 0), strength) for frame in frames])
    height, width = frames.shape[1:]
    small = (max(1, round(width / (1 + strength))), max(1, round(height / (1 + strength))))
    shrunk = (cv2.resize(frame, small, interpolation=cv2.INTER_AREA) for frame in frames)
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in shrunk])


def tone(frames: np.ndarray, random: Random, strength: float) -> np.ndarray:
    """Another gamma and contrast; black and white stay, and what was darker stays darker."""
    gamma = np.float32(np.exp(random.uniform(-strength, strength)))
    contrast = np.float32(np.clip(random.uniform(-strength, strength), -1, 1))
    share = np.clip(frames / 100, 0, 1) ** gamma
    return 100 * (share + contrast * (share * share * (3 - 2 * share) - share))


def flicker(frames: np.ndarray, random: Random, strength: float) -> np.ndarray:
    """Each frame lighter or darker by a share of itself, half of that unevenly."""
    count, height, width = frames.shape
    gains = random.standard_normal((count,), np.float32)
    uneven = random.standard_normal((count, 3, 4), np.float32)
    flickering = np.empty_like(frames)
    for number, frame in enumerate(frames):
        spread = cv2.resize(uneven[number], (width, height), interpolation=cv2.INTER_LINEAR)
        flickering[number] = frame * (1 + np.float32(strength) * (gains[number] + spread / 2))
    return flickering


# --- The film itself ---


def grain(frames: np.ndarray, random: Random, strength: float) -> np.ndarray:
    """With clumps of silver of one size, new in each frame; `strength` strong in middle grey, a fifth in black."""
    size = random.uniform(0.3, 0.9)
    line = np.asarray(cv2.getGaussianKernel(7, size, cv2.CV_32F))
    # Blurring lessens noise by the kernel's length, a direction.
    line = line / np.sqrt((line**2).sum())
    noise = random.standard_normal(frames.shape, np.float32)
    share = np.clip(frames / 100, 0, 1)
    noise *= np.float32(strength) * (0.2 + 3.2 * share * (1 - share))
    return frames + np.stack([cv2.sepFilter2D(frame, -1, line, line) for frame in noise])


def fading(frames: np.ndarray, random: Random, strength: float) -> np.ndarray:
    """That share nearer to a grey: the silver goes, and blacks with it."""
    return frames + np.float32(strength) * (np.float32(random.uniform(50, 85)) - frames)


# --- What happened to it ---


def scratches(frames: np.ndarray, random: Random, strength: float) -> np.ndarray:
    """With upright lines, dark or light, each for some frames on end, wandering a little."""
    count, height, width = frames.shape
    scratched = frames.copy()
    longest = 2 * count
    # As many as keep `strength` of them in sight, each living from 2 to `longest` frames.
    for _ in range(random.poisson(strength * (count + longest) / (longest / 2 + 1))):
        start, life = random.integers(-longest, count), random.integers(2, longest + 1)
        places = random.uniform(0, width) + random.normal(0, 0.3, longest).cumsum()
        target, depth = 100.0 * (random.random() < 0.5), random.uniform(0.1, 0.8)
        # Not as deep everywhere, and here and there not at all.
        along = cv2.resize(random.uniform(-0.2, 1.4, (6, 1)), (1, height), interpolation=cv2.INTER_LINEAR)
        opacity = depth * np.clip(along, 0, 1).astype(np.float32)
        thickness = random.uniform(0.2, 0.6) * width / 192 + 0.15
        for frame in range(max(start, 0), min(start + life, count)):
            _scratch(scratched[frame], (places[frame - start], thickness), opacity, target)
    return scratched


def _scratch(frame: np.ndarray, where: tuple[float, float], opacity: np.ndarray, target: float) -> None:
    """Draws one line of that lightness into a frame: where in x and how thick, how opaque (H, 1) down its length."""
    place, thickness = where
    left = max(0, int(place - 3 * thickness))
    right = min(frame.shape[1], int(place + 3 * thickness) + 2)
    if left < right:
        columns = np.arange(left, right, dtype=np.float32)
        band = frame[:, left:right]
        shape = np.exp(-((columns - np.float32(place)) ** 2) / np.float32(2 * thickness**2))
        band += opacity * shape * (np.float32(target) - band)


def dust(frames: np.ndarray, random: Random, strength: float) -> np.ndarray:
    """With specks, each on one frame only."""
    return _littered(frames, random, strength, _speck)


def hairs(frames: np.ndarray, random: Random, strength: float) -> np.ndarray:
    """With fibres, each on one frame only."""
    return _littered(frames, random, strength, _hair)


def _littered(frames: np.ndarray, random: Random, mean: float, draw: Draw) -> np.ndarray:
    # Dirt on the negative is white, dirt on the print black: seldom both.
    target = np.float32(100 * (random.random() < 0.5))
    littered = frames.copy()
    for frame, number in zip(littered, random.poisson(mean, len(frames)), strict=True):
        if number:
            opacity = np.zeros(frame.shape, np.uint8)
            for _ in range(number):
                draw(opacity, random)
            frame += opacity * np.float32(1 / 255) * (target - frame)
    return littered


_PARTS = 4
"""Bits of OpenCV's places: sixteenths of a pixel."""


def _speck(opacity: np.ndarray, random: Random) -> None:
    """Draws a lump of any form; most have a radius of less than a hundredth of the height."""
    height, width = opacity.shape
    radius = height * np.exp(random.normal(-5, 0.5))
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * random.uniform(0.5, 1.5, (8, 1)) * radius
    points = random.uniform((0, 0), (width, height)) + around
    cv2.fillPoly(opacity, [_fixed(points)], int(random.integers(100, 256)), cv2.LINE_AA, _PARTS)


def _hair(opacity: np.ndarray, random: Random) -> None:
    """Draws a bent line, up to a third of the height long."""
    height, width = opacity.shape
    turns = random.uniform(0, 2 * np.pi) + random.normal(0, 0.3, 12).cumsum() + random.normal(0, 0.2) * np.arange(12)
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * random.uniform(0.05, 0.33) * height / 12
    points = random.uniform((0, 0), (width, height)) + steps.cumsum(axis=0)
    grey = int(random.integers(100, 256))
    cv2.polylines(opacity, [_fixed(points)], False, grey, max(1, height // 300), cv2.LINE_AA, _PARTS)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.rint(points * (1 << _PARTS)).astype(np.int32)


# --- What came of it as video ---


def compression(frames: np.ndarray, random: Random, strength: float) -> np.ndarray:
    """Through JPEG and back, all frames at one quality."""
    setting = [cv2.IMWRITE_JPEG_QUALITY, round(95 - 85 * min(strength, 1))]
    decoded: list[np.ndarray] = []
    for frame in np.clip(frames * 2.55 + 0.5, 0, 255).astype(np.uint8):
        _, code = cv2.imencode(".jpg", frame, setting)
        decoded.append(np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)))
    return np.stack(decoded).astype(np.float32) / np.float32(2.55)


def rounded(frames: np.ndarray) -> np.ndarray:
    """In 219 steps, as limited-range 8-bit luma has."""
    return np.rint(frames * np.float32(2.19)) / np.float32(2.19)


KINDS: dict[str, Kind] = {
    "vignetting": vignetting,
    "softness": softness,
    "tone": tone,
    "flicker": flicker,
    "grain": grain,
    "fading": fading,
    "scratches": scratches,
    "dust": dust,
    "hairs": hairs,
    "compression": compression,
}
"""By the name of `Wear`'s field, in the order in which they befall a film."""


# --- Gate weave ---


def weave(lab: torch.Tensor, random: Random, pixels: float) -> torch.Tensor:
    """The clip (T, 3, H, W) unsteady in its gate: shifted and turned, smoothly in time.

    `pixels` is the standard deviation of the shift in each direction; the turn moves the corners half as far.
    """
    if pixels <= 0:
        return lab
    count, _, height, width = lab.shape
    path = pixels * _smooth(count, random)
    return moved(lab, path[:, :2], path[:, 2] / np.hypot(height, width))


def _smooth(count: int, random: Random) -> np.ndarray:
    """(count, 3): three series of standard deviation 1 that change over about two frames."""
    near = np.exp(-(np.arange(-4, 5) ** 2) / (2 * 1.5**2))
    near /= np.sqrt((near**2).sum())
    noise = random.standard_normal((count + 8, 3))
    return np.stack([np.convolve(series, near, mode="valid") for series in noise.T], axis=1)


def moved(lab: torch.Tensor, shifts: np.ndarray, angles: np.ndarray) -> torch.Tensor:
    """Each frame of (T, 3, H, W) shifted by its (x, y) in pixels and turned about its middle; edges are mirrored."""
    height, width = lab.shape[-2:]
    frames = lab.permute(0, 2, 3, 1).contiguous().numpy()
    out = np.empty_like(frames)
    for frame, seen, (x, y), angle in zip(frames, out, shifts, angles, strict=True):
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), float(np.degrees(angle)), 1.0)
        matrix[:, 2] += x, y
        # Cubic: bilinear would blur each frame differently, which a network could tell shifts by.
        cv2.warpAffine(frame, matrix, (width, height), seen, cv2.INTER_CUBIC, cv2.BORDER_REFLECT_101)
    np.clip(out[..., 0], 0, 100, out=out[..., 0])
    return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()
