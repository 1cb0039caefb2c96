"""True PSNR of a method on colour clips whose colour is taken away: one command, one table.

    python benchmarks/quality.py --data DIR [--method flow] [--pieces 12] [--loop 400] [--clip NAME]...

DIR/<clip>/*.jpg are the frames. The film is the truth's own L* at native size; the answer is Lab(L* of the truth, ab of
the method, bilinear to full size), rounded to 8 bit. A row is one clip, the last one the mean of the clips.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from kinochrome import chain, color, methods, video
from kinochrome.chain import Step
from kinochrome.metrics.colorfulness import colorfulness
from kinochrome.metrics.picture import Picture
from kinochrome.types import Method, Reference, Shot


@dataclass(frozen=True)
class Scene:
    """One clip: where its true frames are, and what a method sees of them."""

    name: str
    paths: tuple[Path, ...]
    lightness: torch.Tensor
    ab: torch.Tensor

    def __len__(self) -> int:
        return len(self.paths)

    def reference(self, frame: int, place: int) -> Reference:
        whole = torch.ones_like(self.lightness[frame])
        return Reference(self.lightness[frame], self.ab[frame], whole, place)


def load(folder: Path, method: Method) -> Scene:
    """A clip at the method's working size."""
    paths = tuple(sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".png")))
    small = []
    for path in paths:
        lab = truth(path)[1].permute(1, 2, 0).numpy()
        height, width = method.working_size(*lab.shape[:2])
        small.append(cv2.resize(lab, (width, height), interpolation=cv2.INTER_AREA))
    stack = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)
    return Scene(folder.name, paths, stack[:, :1].contiguous(), stack[:, 1:].contiguous())


@functools.lru_cache(maxsize=45)
def truth(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """(3, H, W) R'G'B' of 0..255 and Lab."""
    rgb = torch.from_numpy(video.read_picture(path)).permute(2, 0, 1)
    return (rgb * 255).round(), color.lab_from_rgb(rgb)


def answer(path: Path, ab: torch.Tensor) -> torch.Tensor:
    """(3, H, W) R'G'B' of 0..255: `ab` (2, h, w) laid under the truth's own L*."""
    _, lab = truth(path)
    height, width = lab.shape[-2:]
    small = np.ascontiguousarray(ab.permute(1, 2, 0).numpy())
    full = torch.from_numpy(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)).permute(2, 0, 1)
    return (color.rgb_from_lab(torch.cat([lab[:1], full])).clamp(0, 1) * 255).round()


def psnr(path: Path, ab: torch.Tensor) -> float:
    """Of one frame, in dB."""
    error = float((answer(path, ab) - truth(path)[0]).square().mean())
    return float(10 * np.log10(255**2 / max(error, 1e-4)))


def kept_colour(path: Path, ab: torch.Tensor) -> float:
    """Colourfulness of one frame, in hundredths of the truth's: less than 100 where colours fade."""
    shown = (answer(path, ab), truth(path)[0])
    found, true = (colorfulness(Picture(rgb.byte().permute(1, 2, 0).numpy()).opponents) for rgb in shown)
    return 100 * found / max(true, 1e-3)


def scores(scene: Scene, colours: Sequence[torch.Tensor]) -> np.ndarray:
    """dB of every frame but the first."""
    return np.array([psnr(path, ab) for path, ab in zip(scene.paths[1:], colours[1:], strict=True)])


def paint(step: Step, lightness: torch.Tensor, references: Sequence[Reference], longest: int) -> list[torch.Tensor]:
    """The method's colours of one shot, cut into pieces of at most `longest` frames as the main path does it."""
    said = chain.colour_shot(
        (step,),
        Shot(0, len(lightness)),
        longest,
        lambda size, first, last: lightness[first:last],
        lambda size: references,
    )
    return [painted.ab for painted in said]


def two_protocols(scenes: list[Scene], step: Step, longest: int) -> None:
    """First frame as reference; then first and last, beside the first alone on the same frames.

    `colour`: the last frame's colourfulness in hundredths of the truth's, from the first frame alone.
    """
    numbers = (
        f"{'grey':>8}{'copy':>8}{'first':>8}{'| first':>10}{'first+last':>12}{'ms/frame':>10}{'both':>7}{'colour':>8}"
    )
    print(f"{'clip':<28}{numbers}")
    rows = []
    for scene in scenes:
        last = len(scene) - 1
        ends = [scene.reference(0, 0), scene.reference(last, last)]
        colours, seconds = [], []
        for references in (ends[:1], ends):
            began = time.perf_counter()
            colours.append(paint(step, scene.lightness, references, longest))
            seconds.append((time.perf_counter() - began) * 1000 / len(scene))
        grey, pasted = [torch.zeros_like(scene.ab[0])] * len(scene), [scene.ab[0]] * len(scene)
        ways = [scores(scene, way) for way in (grey, pasted, *colours)]
        means = [way.mean() for way in ways[:3]]
        colour = kept_colour(scene.paths[last], colours[0][last])
        rows.append([*means, ways[2][:-1].mean(), ways[3][:-1].mean(), *seconds, colour])
        _print_row(scene.name, rows[-1])
    _print_row("mean", np.mean(rows, axis=0))


def _print_row(name: str, row: Sequence[float]) -> None:
    first, *rest = row[3:]
    print(
        f"{name:<28}{row[0]:8.2f}{row[1]:8.2f}{row[2]:8.2f}{first:10.2f}{rest[0]:12.2f}{rest[1]:10.1f}{rest[2]:7.1f}"
        f"{rest[3]:8.1f}",
        flush=True,
    )


def loop(scenes: list[Scene], step: Step, frames: int, longest: int) -> None:
    """Clips played there and back: the frames of the last 40, and the same frames when first seen. Fade, drift?"""
    print(f"{'clip':<28}{'first seen':>11}{'last seen':>10}{'chroma first':>14}{'last':>8}{'true':>8}")
    rows = []
    for scene in scenes:
        period = [*range(len(scene)), *range(len(scene) - 2, 0, -1)]
        order = [period[n % len(period)] for n in range(frames)]
        colours = paint(step, scene.lightness[order], [scene.reference(0, 0)], longest)
        # The same true frames, seen first and last: other frames lie nearer the reference and are easier.
        late = [n for n in range(frames - 40, frames) if order[n]]
        early = [order[n] for n in late]
        row = [float(np.mean([psnr(scene.paths[order[n]], colours[n]) for n in when])) for when in (early, late)]
        spans = [colours[n] for n in early], [colours[n] for n in late], [scene.ab[n] for n in early]
        row += [float(np.mean([ab.norm(dim=0).mean() for ab in span])) for span in spans]
        rows.append(row)
        _print_loop(scene.name, row)
    _print_loop("mean", np.mean(rows, axis=0))


def _print_loop(name: str, row: Sequence[float]) -> None:
    print(f"{name:<28}{row[0]:11.2f}{row[1]:10.2f}{row[2]:14.2f}{row[3]:8.2f}{row[4]:8.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of clips, each a folder of JPEG or PNG frames")
    parser.add_argument("--method", default="flow", choices=methods.METHODS)
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="of the method")
    parser.add_argument("--pieces", type=int, metavar="N", help="cut every clip into pieces of at most N frames")
    parser.add_argument("--loop", type=int, metavar="N", help="play clips there and back to N frames instead")
    parser.add_argument("--clip", action="append", help="only these clips")
    given = parser.parse_args()
    if given.data is None or not given.data.is_dir():
        sys.exit("Give a folder of clips with --data DIR; each clip is a folder of frames: DIR/<clip>/00000.jpg, …")
    folders = [
        path for path in sorted(given.data.iterdir()) if path.is_dir() and path.name in (given.clip or [path.name])
    ]
    if not folders:
        sys.exit(f"{given.data} holds no clip to measure on.")
    options = methods.parse_options(given.method, dict(text.split("=", 1) for text in given.set))
    method = methods.load(given.method)(options, "cpu")
    step = Step(given.method, options, method, size=(0, 0))
    longest = given.pieces or method.longest
    if given.loop:
        loop([load(folder, method) for folder in folders], step, given.loop, longest)
    else:
        two_protocols([load(folder, method) for folder in folders], step, longest)


if __name__ == "__main__":
    main()
