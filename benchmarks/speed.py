"""How long colouring takes, measured in times of what decoding and encoding the same coloured frames takes alone.

    OMP_WAIT_POLICY=passive python benchmarks/speed.py                  # 480p and 1080p, a few minutes
    OMP_WAIT_POLICY=passive python benchmarks/speed.py --sizes 854x480 --frames 72 --repeats 1

(The command sets that variable itself; here torch is loaded before it could.)

Both happen in one process, in turn, on the same film: `alone` decodes it and encodes the coloured frames through
`kinochrome.video`, `PyAV` does so by hand; `colorize` is the whole of `kinochrome colorize`, scan and join included.
The `web` preset encodes. The table gives medians; the ratios are what counts, for they hold on other machines too.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import av
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import kinochrome
from kinochrome import video
from kinochrome.methods import DEFAULT
from sample import Sample, make_sample

STAGES = {"scan": "scan", "coloured": "colour", "rendered": "render"}
"""Event of the main path -> the column that the time before it is counted in; the rest is planning and joining."""

Chroma = list[tuple[np.ndarray, np.ndarray]]


@dataclass
class Measured:
    """What one way of doing it took, a number a repeat."""

    wall: list[float] = field(default_factory=list)
    """Seconds."""
    cpu: list[float] = field(default_factory=list)
    """Seconds of all cores together."""

    def add(self, work: Callable[[], object]) -> None:
        """Does the work once and notes its time."""
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)


class Stages:
    """Where the time of a run goes, by the events that it reports."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.last = time.perf_counter()

    def report(self, event: str, data: dict[str, Any]) -> None:
        now = time.perf_counter()
        self.seconds[STAGES.get(event, "rest")] += now - self.last
        self.last = now


def colorize(sample: Sample, target: Path, method: str, stages: list[Stages]) -> None:
    """The whole main path."""
    stages.append(Stages())
    report = stages[-1].report
    settings = {"method": method, "preset": "web", "overwrite": True}
    kinochrome.colorize(sample.film, target, references=[sample.reference], report=report, **settings)
    report("end", {})


def read_chroma(film: Path) -> Chroma:
    """The coloured frames' chroma, kept in memory, so that only the source's decoding is measured."""
    info = video.probe(film)
    frames = video.frames(info, video.scan(info))
    return [(frame.chroma[0].copy(), frame.chroma[1].copy()) for frame in frames if frame.chroma]


def alone(sample: Sample, target: Path, table: Any, chroma: Chroma) -> None:
    """Decoding the film and encoding the coloured frames, through `kinochrome.video`."""
    info = video.probe(sample.film)
    encoding = video.encoding_for(target, info, preset="web")
    with video.Writer(target, info, encoding) as writer, closing(video.frames(info, table)) as frames:
        for frame, planes in zip(frames, chroma, strict=True):
            writer.write(frame.pts, frame.luma, *planes)


def alone_by_hand(sample: Sample, target: Path, chroma: Chroma) -> None:
    """The same with PyAV in one loop."""
    options = video.encoding_for(target, video.probe(sample.film), preset="web").options
    with av.open(str(sample.film)) as source, av.open(str(target), "w") as output:
        stream = source.streams.video[0]
        stream.thread_type = "AUTO"
        encoder = output.add_stream("libx264", rate=stream.average_rate, options=options)
        encoder.width, encoder.height, encoder.pix_fmt = stream.width, stream.height, "yuv420p"
        for frame, planes in zip(source.decode(stream), chroma, strict=True):
            coloured = av.VideoFrame(frame.width, frame.height, "yuv420p")
            coloured.pts, coloured.time_base = frame.pts, frame.time_base
            for plane, values in zip(coloured.planes, (stored(frame.planes[0]), *planes), strict=True):
                stored(plane)[:] = values
            output.mux(encoder.encode(coloured))
        output.mux(encoder.encode(None))


def stored(plane: Any) -> np.ndarray:
    """The samples of a plane; its rows may be longer than the picture is wide."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


def measure(sample: Sample, method: str, repeats: int) -> tuple[dict[str, Measured], list[Stages]]:
    """Every way in turn, so many times over."""
    folder = sample.film.parent
    target, other = folder / "colour.mp4", folder / "other.mp4"
    table = video.scan(video.probe(sample.film))
    ways = {name: Measured() for name in ("colorize", "alone", "PyAV")}
    stages: list[Stages] = []
    chroma: Chroma = []
    for _ in range(repeats):
        ways["colorize"].add(partial(colorize, sample, target, method, stages))
        chroma = chroma or read_chroma(target)
        ways["alone"].add(partial(alone, sample, other, table, chroma))
        ways["PyAV"].add(partial(alone_by_hand, sample, other, chroma))
    return ways, stages


def rows(name: str, frames: int, ways: dict[str, Measured], stages: list[Stages]) -> list[list[str]]:
    """Lines of the table: each way, its speed, and how many times `alone` it took."""
    lines = []
    for way, measured in ways.items():
        wall, cpu = median(measured.wall), median(measured.cpu)
        ratio = median(one / other for one, other in zip(measured.wall, ways["alone"].wall, strict=True))
        ratio_cpu = median(one / other for one, other in zip(measured.cpu, ways["alone"].cpu, strict=True))
        parts = [""] * 4
        if way == "colorize":
            parts = [f"{median(s.seconds[part] for s in stages) / wall:.0%}" for part in (*STAGES.values(), "rest")]
        figures = [f"{wall:.1f}", f"{frames / wall:.1f}", f"{ratio:.2f}", f"{cpu:.1f}", f"{ratio_cpu:.2f}"]
        lines.append([name, way, *figures, *parts])
    return lines


def main(
    sizes: Annotated[str, typer.Option(help="WIDTHxHEIGHT, even, comma between.")] = "854x480,1920x1080",
    frames: Annotated[int, typer.Option(help="Of each film.", min=2)] = 216,
    repeats: Annotated[int, typer.Option(min=1)] = 3,
    method: Annotated[str, typer.Option(help="Which one colours.")] = DEFAULT,
) -> None:
    """Prints one table: seconds, frames a second, and times of `alone`, by the clock and by CPU time."""
    table = Table("film", "", "s", "frames/s", "times alone", "CPU s", "times", *STAGES.values(), "rest", box=None)
    with TemporaryDirectory() as place:
        # What the first run of a process pays once (imports, tables) is no part of a film's time.
        measure(make_sample(_folder(place, "warm"), (64, 96), 4), method, 1)
        for name in sizes.split(","):
            width, height = (int(number) for number in name.split("x"))
            sample = make_sample(_folder(place, name), (height, width), frames)
            measured = measure(sample, method, repeats)
            for line in rows(f"{name}, {frames} frames", frames, *measured):
                table.add_row(*line)
    Console(width=140).print(table)


def _folder(place: str, name: str) -> Path:
    folder = Path(place, name)
    folder.mkdir()
    return folder


if __name__ == "__main__":
    typer.run(main)
