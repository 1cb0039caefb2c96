"""LSTVC by the size of its blocks, with and without its linkage: the paper's Table 3 for clips of your own.

    python benchmarks/blocks.py --data DIR [--clip NAME]... [--frames 40] [--weights FILE] [--most 6]

DIR holds CLIP/FRAME.jpg (or .png), or films. The true first frame is given and not counted. Figures are made as
`kinochrome evaluate --protocol first-frame` makes them, a row's are the means of its clips'; "colour" is colourfulness,
"fade" the per cent of the truth's lost in 100 frames. Time is the method's alone: pictures lie in memory, and a block
of each size was coloured before. "ab change" is the mean absolute change from N = 1, at working size.
Below stand the method's own N with its linkage ("linked") and without ("alone"), and the truth's own figures.
"""

from __future__ import annotations

import copy
import functools
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from kinochrome import chain
from kinochrome.errors import KinochromeError, VideoError
from kinochrome.evaluation import footage, score
from kinochrome.evaluation.footage import TrueClip
from kinochrome.evaluation.grey import Lstar
from kinochrome.evaluation.protocols import Task, protocol_of
from kinochrome.evaluation.rows import Paint, TruthRow, WithoutDraft
from kinochrome.evaluation.score import Figures, Measures
from kinochrome.methods.lstvc import Lstvc, LstvcOptions
from kinochrome.metrics.picture import Picture
from kinochrome.types import Clip, Painted, Reference, Shot

GREY = Lstar()

COLUMNS = {
    "psnr": ("PSNR", 1, 2),
    "cdc": ("CDC x1000", 1000, 3),
    "colorfulness": ("colour", 1, 2),
    "warp_error": ("warp x10,000", 10000, 2),
    "fade": ("fade", 1, 2),
    "ms": ("ms/frame", 1, 0),
    "change": ("ab change", 1, 3),
}
"""What is found -> its title, what it is multiplied by, digits."""

MEASURES = Measures(tuple(COLUMNS)[:5])


@dataclass(frozen=True)
class Film:
    """A clip's frames as the method sees them, and the first one's colours."""

    lightness: torch.Tensor
    reference: Reference


class Way(WithoutDraft):
    """A row: how a clip is coloured in blocks of one size, how long that takes, how it differs from the first row."""

    def __init__(self, name: str, method: Lstvc, film: Film, first: Way | None) -> None:
        self.name, self.method, self.film, self.first = name, method, film, first or self
        self.seconds = 0.0
        self.changes: list[float] = []
        self.ab = torch.empty(0)
        """Of the frame that it is at."""

    def paints(self, clip: TrueClip, task: Task) -> Iterator[Paint]:
        warm = self.film.lightness[: self.method.options.block]
        list(self.method.colorize(Clip(0, 0, warm, (self.film.reference,))))
        said = self._said(Shot(task.start, task.stop))
        for index in range(task.start, task.stop):
            began = time.perf_counter()
            painted = next(said)
            self.seconds += time.perf_counter() - began
            self.ab = painted.ab
            if index in task.scored:
                # Rows take turns frame by frame: the first one is at this frame, too.
                self.changes.append(float((self.ab - self.first.ab).abs().mean()))
            yield functools.partial(_coloured, painted)

    def _said(self, shot: Shot) -> Iterator[Painted]:
        """The method's answers, the clip cut into pieces as the main path does it."""
        light, given = self.film.lightness, [self.film.reference]
        height, width = light.shape[-2:]
        step = chain.Step("lstvc", self.method.options, self.method, (height, width))
        return chain.colour_shot(
            (step,), shot, self.method.longest, lambda size, first, last: light[first:last], lambda size: given
        )

    def figures(self, measured: Figures) -> Figures:
        """With those that no metric makes."""
        return measured | {
            "ms": 1000 * self.seconds / len(self.film.lightness),
            "change": score.mean(self.changes),
        }


def _coloured(painted: Painted, true: Picture) -> Picture:
    return Picture(GREY.coloured(true, painted))


def film_of(clip: TrueClip, count: int, method: Lstvc) -> Film:
    """What the method is given of a clip's first frames."""
    size = method.working_size(*clip.size)
    light = torch.stack([GREY.lightness(Picture(rgb), size) for rgb in clip.frames(0, count)])
    ab = GREY.ab(Picture(next(clip.frames(0, 1))), size)
    return Film(light, Reference(light[0], ab, torch.ones(1, *size), 0))


def rows(most: int) -> dict[str, tuple[int, bool]]:
    """Row of the table -> frames in a block, linkage. The last two are the method's own choice, and its ablation."""
    usual = LstvcOptions.block
    counted = {str(block): (block, True) for block in range(1, most + 1)}
    return counted | {f"{usual} linked": (usual, True), f"{usual} alone": (usual, False)}


def measure(clip: TrueClip, method: Lstvc, most: int, frames: int | None) -> dict[str, Figures]:
    """Row -> figures of one clip, the truth's own last."""
    footage.check_colour(clip)
    tasks = protocol_of("first-frame").tasks(min(len(clip), frames or len(clip)))
    if not tasks:
        raise VideoError(f"The clip {clip.name} has one frame, which is the reference. Leave it out.")
    film = film_of(clip, tasks[0].stop, method)
    ways: dict[tuple[int, bool], Way] = {}
    for name, (block, linkage) in rows(most).items():
        if (block, linkage) not in ways:
            # One network serves them all.
            other = copy.copy(method)
            other.options = replace(method.options, block=block, linkage=linkage)
            ways[block, linkage] = Way(name, other, film, ways.get((1, True)))
    scored = score.score_clip(clip, tasks, [*ways.values(), TruthRow()], MEASURES)
    found = {name: ways[key].figures(scored[ways[key].name].figures) for name, key in rows(most).items()}
    return found | {"truth": scored["truth"].figures}


def table(found: Sequence[dict[str, Figures]]) -> Table:
    """The means of the clips' figures."""
    drawn = Table("N", box=None)
    for title, _, _ in COLUMNS.values():
        drawn.add_column(title, justify="right")
    for row in found[0]:
        if row.endswith("linked"):
            drawn.add_row()
        cells = []
        for name, (_, scale, digits) in COLUMNS.items():
            mean = score.mean(clip[row].get(name) for clip in found)
            cells.append("-" if mean is None else f"{mean * scale:.{digits}f}")
        drawn.add_row(row, *cells)
    return drawn


def main(
    data: Annotated[Path, typer.Option(help="The true clips: CLIP/FRAME.jpg (or .png), or films.")],
    clip: Annotated[list[str] | None, typer.Option(help="May be repeated. \\[all there are]")] = None,
    frames: Annotated[int | None, typer.Option(help="Of each clip, from its first. \\[all]", min=2)] = None,
    weights: Annotated[str, typer.Option(help="Of lstvc. \\[those that come along]")] = "",
    most: Annotated[int, typer.Option(help="Frames in the largest block.", min=1)] = 6,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Prints the table."""
    try:
        method = Lstvc(LstvcOptions(weights=weights), chain.chosen_device(device))
        clips = track(footage.find(data, clip or ()), "", console=Console(stderr=True))
        drawn = table([measure(one, method, most, frames) for one in clips])
    except KinochromeError as error:
        sys.exit(str(error))
    Console().print(drawn)


if __name__ == "__main__":
    typer.run(main)
