"""How long scoring takes, measured in times of what reading the same pictures takes alone; and which part takes it.

    python benchmarks/scoring.py                                      # 854x480, a minute or two
    python benchmarks/scoring.py --size 1920x1080 --frames 24 --repeats 1

A drawn film of JPEGs and a result of PNGs are scored as `kinochrome evaluate --results` scores them in each of its
workers, on one thread, by every metric that needs no network: one row, without the baselines. CPU time is what counts
on a busy machine; N workers on N cores score N times the frames. The parts are of a second run, in which shared images
are asked for before any metric asks; other images count for the first metric that needs them. The smallest time of a
part is taken, so that they sum to less than the whole.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import cv2
import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from kinochrome import metrics
from kinochrome.evaluation import footage
from kinochrome.evaluation.protocols import protocol_of
from kinochrome.evaluation.rows import ResultsRow
from kinochrome.evaluation.score import Measures, score_clip
from kinochrome.metrics.motion import Motion, estimate_by
from kinochrome.metrics.picture import Picture
from kinochrome.metrics.score import Pair, Score, Truth
from sample import pictures

NAMES = [
    name
    for name in metrics.METRICS
    if not any(need == "draft" or need.startswith("weights:") for need in metrics.load(name).needs)
]
"""All that is measured without networks and drafts."""


def draw(folder: Path, size: tuple[int, int], frames: int) -> None:
    """A film in `true/film`, and in `result/film` the same with paler colours that lie a little beside their place."""
    for place in ("true", "result"):
        (folder / place / "film").mkdir(parents=True)
    for number, rgb in enumerate(pictures(size, frames, 7)):
        true = cv2.cvtColor((rgb >> 8).astype(np.uint8), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / "true" / "film" / f"{number:05d}.jpg"), true)
        planes = cv2.cvtColor(true, cv2.COLOR_BGR2YCrCb)
        planes[..., 1:] = np.roll(planes[..., 1:], 3, axis=1) // 8 * 7 + 16
        result = cv2.cvtColor(planes, cv2.COLOR_YCrCb2BGR)
        cv2.imwrite(str(folder / "result" / "film" / f"{number:05d}.png"), result)


def read(folder: Path) -> None:
    """Every picture of both."""
    for place in ("true", "result"):
        [clip] = footage.find(folder / place)
        for _ in clip.frames(0, len(clip)):
            pass


def score(folder: Path) -> None:
    """The whole of it, reading included."""
    [clip] = footage.find(folder / "true")
    tasks = list(protocol_of("automatic").tasks(len(clip)))
    score_clip(clip, tasks, [ResultsRow("result", folder / "result")], Measures(NAMES))


def parts(folder: Path) -> dict[str, float]:
    """Milliseconds of CPU time a frame of each part of scoring: the smallest of all frames from the second on."""
    took: dict[str, list[float]] = defaultdict(list)
    truth, scoring, estimate = Truth(), Score(NAMES), estimate_by("dis_quick")
    clips = [footage.find(folder / place)[0] for place in ("true", "result")]
    before: Picture | None = None
    for index, (rgb, other) in enumerate(zip(*(clip.frames(0, len(clip)) for clip in clips), strict=True)):
        moment, result = truth.show(index, rgb), Picture(other)
        if before is not None:
            pair = Pair(moment, result, before, None, Motion(before, result, estimate))
            for name, work in _works(pair, scoring).items():
                start = time.thread_time()
                work()
                took[name].append(time.thread_time() - start)
        before = result
    return {name: 1000 * min(times) for name, times in took.items()}


def _works(pair: Pair, scoring: Score) -> dict[str, Callable[[], object]]:
    """The parts of scoring a frame, in order."""
    true, own = pair.motion, pair.own_motion
    assert true is not None and own is not None
    shared: dict[str, Callable[[], object]] = {
        "luma": lambda: (pair.truth.luma, pair.result.luma),
        "motion of the truth": lambda: (true.forward, true.backward),
        "motion of the result": lambda: (own.forward, own.backward),
        "CIELAB": lambda: (pair.truth.lab, pair.result.lab),
    }
    return shared | {name: lambda metric=metric: metric.add(pair) for name, metric in scoring.metrics.items()}


def timed(work: Callable[[Path], None], folder: Path) -> tuple[float, float]:
    """Seconds by the clock and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work(folder)
    return time.perf_counter() - wall, time.process_time() - cpu


def main(
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT.")] = "854x480",
    frames: Annotated[int, typer.Option(min=2)] = 48,
    repeats: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Prints two tables: reading and scoring, and the parts of scoring."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    width, height = (int(number) for number in size.split("x"))
    console, table = Console(width=100), Table("", "frames/s", "CPU ms a frame", "times reading", box=None)
    with TemporaryDirectory() as place:
        draw(Path(place), (height, width), frames)
        score(Path(place))  # what a process pays once is no part of a frame's time
        runs = {way.__name__: [timed(way, Path(place)) for _ in range(repeats)] for way in (read, score)}
        found = parts(Path(place))
    for name, times in runs.items():
        wall, cpu = (median(one) for one in zip(*times, strict=True))
        ratio = median(mine[1] / alone[1] for mine, alone in zip(times, runs["read"], strict=True))
        table.add_row(name, f"{frames / wall:.1f}", f"{1000 * cpu / frames:.1f}", f"{ratio:.1f}")
    console.print(table)
    table = Table("part of scoring", "CPU ms a frame", "share", box=None)
    for name, spent in sorted(found.items(), key=lambda one: -one[1]):
        table.add_row(name, f"{spent:.1f}", f"{spent / sum(found.values()):.0%}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
