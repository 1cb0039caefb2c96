"""Results as short films under names that tell nothing, and a page on which a person chooses between two of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from kinochrome import color, video
from kinochrome.errors import MethodError
from kinochrome.metrics.picture import Picture, picture_of
from kinochrome.project import digest, made_folder, write_atomically
from kinochrome.types import VideoInfo

from . import footage
from .evaluate import Job, Report, checked, key_of, rows_of
from .footage import FilmClip, TrueClip
from .grey import Size, size_of
from .preferences import FOLDER, KEY
from .protocols import Protocol, Task
from .rows import Row, true_frame
from .score import opened

ANCHORS = ("grey", "copy", "truth")
"""Rows that are shown only when asked for."""

RATE = Fraction(24)
"""Frames a second of clips that are folders of pictures."""


@dataclass(frozen=True)
class Film:
    """One row's frames of one task, to be shown under a token instead of a name."""

    row: Row
    clip: TrueClip
    task: Task
    token: str

    @property
    def path(self) -> str:
        return f"{self.token}.mp4"


def check(job: Job, anchors: Sequence[str] = ()) -> None:
    """An error where there are no two rows to choose between."""
    rows_shown(job, checked(job)[0], anchors)


def write(
    job: Job,
    anchors: Sequence[str] = (),
    seed: int = 0,
    report: Report = lambda clip, done, total: None,
) -> Path:
    """The page, in `job.out`/blind beside its films and the key to their tokens; films that are there are kept."""
    rules = checked(job)[0]
    groups = list(_groups(job, rules, rows_shown(job, rules, anchors), seed))
    films = [film for group in groups for film in group]
    folder = made_folder(job.out / FOLDER, parents=True)
    missing = [film for film in films if not (folder / film.path).is_file()]
    done, total = 0, sum(film.task.stop - film.task.start for film in missing)
    for film in missing:
        _write_film(film, folder / film.path)
        done += film.task.stop - film.task.start
        report(film.clip.name, done, total)
    _write_key(films, folder)
    _clear(films, folder)
    path = folder / "blind.html"
    write_atomically(path, page(groups, seed).encode())
    return path


def rows_shown(job: Job, rules: Protocol, anchors: Sequence[str] = ()) -> list[Row]:
    """Methods, other tools' results, and the anchors that were asked for."""
    rows = rows_of(job, rules)
    there = [row.name for row in rows]
    for name in anchors:
        if name not in ANCHORS:
            raise MethodError(f"--blind-with {name} is unknown. Choose of: {', '.join(ANCHORS)}.")
        if name not in there:
            raise MethodError(f"--blind-with {name}: the protocol {rules.name} gives no frame to copy from.")
    chosen = [row for row in rows if row.name in anchors or row.name not in ANCHORS]
    if len(chosen) < 2:
        raise MethodError(
            f"--blind shows two results side by side, and here is one: {chosen[0].name}. Name another --method, a "
            "folder of --results, or --blind-with truth."
        )
    return chosen


def page(groups: Sequence[Sequence[Film]], seed: int) -> str:
    """The page of every pair within a group; it knows tokens alone."""
    pairs = [[first.path, second.path] for group in groups for first, second in combinations(group, 2)]
    random.Random(seed).shuffle(pairs)
    data = {"page": digest({"films": sorted(film.path for group in groups for film in group)})[:12], "pairs": pairs}
    template = Path(__file__).with_name("blind.html").read_text(encoding="utf-8")
    return template.replace("/* DATA */ null", json.dumps(data))


def _groups(job: Job, rules: Protocol, rows: Sequence[Row], seed: int) -> Iterator[list[Film]]:
    """For each task of each clip the films of all rows, in random order."""
    order = random.Random(seed)
    clips = [clip for clip in footage.find(job.data, job.clips, rules.stills) if rules.tasks(len(clip))]
    for clip in clips:
        for task in rules.tasks(len(clip)):
            films = [Film(row, clip, task, _token(job, row, clip, task, seed)) for row in rows]
            order.shuffle(films)
            yield films


def _token(job: Job, row: Row, clip: TrueClip, task: Task, seed: int) -> str:
    """Stands for all that the film depends on: another state of things is another film."""
    words = {"row": row.name, "clip": clip.name, "key": key_of(job, row, clip, [task], ()), "seed": seed}
    return digest(words)[:16]


def _write_film(film: Film, path: Path) -> None:
    clip, task = film.clip, film.task
    info = _info(clip, size_of(true_frame(clip, task.start)))
    with ExitStack() as stack:
        paints = opened(film.row.paints(clip, task), stack)
        frames = opened(clip.frames(task.start, task.stop), stack)
        writer = stack.enter_context(video.Writer(path, info, video.encoding_for(path, info)))
        for number, (rgb, paint) in enumerate(zip(frames, paints, strict=True)):
            writer.write(number, *_planes(picture_of(paint(Picture(rgb)), "result").codes, info))


def _info(clip: TrueClip, size: Size) -> VideoInfo:
    """A film that every browser plays: 4:2:0, so that the last row or column of an odd size is left out."""
    height, width = (side // 2 * 2 for side in size)
    rate = clip.info.rate if isinstance(clip, FilmClip) else RATE
    square = footage.square_film(Path("result"), height, width)
    return replace(square, subsampling="420", rate=rate, time_base=1 / rate)


def _planes(codes: np.ndarray, info: VideoInfo) -> tuple[np.ndarray, ...]:
    """Luma and half-size Cb, Cr of R'G'B' codes."""
    luma, chroma = color.planes_from_rgb(np.ascontiguousarray(codes[: info.height, : info.width]))
    half = luma.shape[1] // 2, luma.shape[0] // 2
    return luma, *(cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in chroma)


def _write_key(films: Sequence[Film], folder: Path) -> None:
    told = {
        film.token: {
            "method": film.row.name,
            "clip": film.clip.name,
            "frames": [film.task.start, film.task.stop],
        }
        for film in sorted(films, key=lambda film: film.token)
    }
    write_atomically(folder / KEY, json.dumps(told, indent=1, ensure_ascii=False).encode())


def _clear(films: Sequence[Film], folder: Path) -> None:
    """Removes films of an earlier state; what is not named like a token stays."""
    wanted = {film.path for film in films}
    for file in folder.glob("*.mp4"):
        if file.name not in wanted and len(file.stem) == 16 and not set(file.stem) - set("0123456789abcdef"):
            file.unlink()
