"""How good weights are: true PSNR on development clips that the network never learns from, and a picture of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from kinochrome import chain, color
from kinochrome.errors import TrainingError
from kinochrome.evaluation import footage
from kinochrome.metrics.picture import Picture
from kinochrome.metrics.psnr import decibels
from kinochrome.project import digest, fingerprint
from kinochrome.types import Method, Painted, Reference, Shot


@dataclass(frozen=True)
class Verdict:
    """What a judgement found."""

    psnr: dict[str, float]
    """dB a clip: first frame as the reference and left out of the mean."""
    picture: np.ndarray
    """(h, w, 3) uint8 R'G'B': a row a clip: the truth and the answer, halfway and at the end."""

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.psnr.values())))


def judge(method: Method, clips: Sequence[footage.TrueClip], every: int = 4) -> Verdict:
    """Colours each clip from its first frame; every so many frames are scored, at the clip's own size."""
    scores, rows = {}, []
    for clip in clips:
        scored = set(range(len(clip) - 1, 0, -every))
        shown = (sorted(scored)[(len(scored) - 1) // 2], len(clip) - 1)
        errors, row = [], []
        for index, (frame, painted) in enumerate(zip(_frames(clip), _coloured(method, clip), strict=True)):
            if index not in scored:
                continue
            answer = _rgb(frame, painted)
            errors.append(float(np.square(answer - frame).mean()))
            row += [_small(image) for image in (frame, answer)] * shown.count(index)
        scores[clip.name] = float(np.mean([decibels(max(error, 1e-9)) for error in errors]))
        rows.append(np.hstack(row))
    return Verdict(scores, np.vstack(rows))


def _coloured(method: Method, clip: footage.TrueClip) -> Iterator[Painted]:
    """Every frame's colours, of which the method was told the first."""
    small = method.working_size(*clip.size)
    light, ab = [], None
    for frame in _frames(clip):
        resized = cv2.resize(frame, small[::-1], interpolation=cv2.INTER_AREA)
        lab = color.lab_from_rgb(torch.from_numpy(resized).permute(2, 0, 1))
        light.append(lab[:1].clone())
        ab = lab[1:] if ab is None else ab
    assert ab is not None
    reference = Reference(light[0], ab, torch.ones_like(light[0]), 0)
    step = chain.Step("judged", None, method, small)
    return chain.colour_shot(
        (step,),
        Shot(0, len(light)),
        method.longest,
        lambda size, first, last: torch.stack(light[first:last]),
        lambda size: [reference],
    )


def _frames(clip: footage.TrueClip) -> Iterator[np.ndarray]:
    """R'G'B' (h, w, 3), float32 0..1."""
    return (Picture(frame).rgb for frame in clip.frames(0, len(clip)))


def _rgb(frame: np.ndarray, painted: Painted) -> np.ndarray:
    """The true frame's own lightness in the painted colours, rounded to 8 bit."""
    lab = color.lab_from_rgb(torch.from_numpy(frame).permute(2, 0, 1))
    small = np.ascontiguousarray(painted.ab.permute(1, 2, 0).numpy())
    full = cv2.resize(small, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    rgb = color.rgb_from_lab(torch.cat([lab[:1], torch.from_numpy(full).permute(2, 0, 1)])).clamp(0, 1)
    return ((rgb * 255).round() / 255).permute(1, 2, 0).numpy()


def _small(rgb: np.ndarray) -> np.ndarray:
    return (cv2.resize(rgb, (240, 135), interpolation=cv2.INTER_AREA) * 255 + 0.5).clip(0, 255).astype(np.uint8)


def clips_of(folder: Path) -> list[footage.TrueClip]:
    """The development clips: `<clip>/<frame>.jpg` or films."""
    clips = footage.find(folder, option="--dev")
    for clip in clips:
        if len(clip) < 2:
            raise TrainingError(
                f"{folder}: {clip.name} has one frame. The first is given away: take it out, or add more."
            )
    return clips


def content_of(clips: Sequence[footage.TrueClip]) -> str | None:
    """Tells clips from others, wherever they lie; None where there are none."""
    files = {one.name: one.files if isinstance(one, footage.PictureClip) else (one.info.path,) for one in clips}
    return digest({name: fingerprint(parts) for name, parts in files.items()}) if files else None
