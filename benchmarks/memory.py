"""How much memory `kinochrome colorize` takes at its peak, for a short film and a long one.

    python benchmarks/memory.py                             # 1080p, 1 and 10 minutes: an hour or so on two cores
    python benchmarks/memory.py --minutes 0.5,2 --encoder preset=ultrafast

A few seconds of film are drawn and encoded; each film is those packets over and over. Each is coloured by a process of
its own, whose peak resident memory the system tells; it must not grow with the film.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from kinochrome import video
from kinochrome.types import FrameTable
from sample import RATE, Sample, make_sample


def repeated(sample: Sample, frames: int, times: int, target: Path) -> Sample:
    """The same film, so many times over, without encoding it again."""
    info = video.probe(sample.film)
    ticks = int(1 / (info.time_base * RATE))
    count = frames * times
    table = FrameTable(np.arange(count, dtype=np.int64) * ticks, np.zeros(1, np.int64), count * ticks)
    pieces = [(sample.film, frames * k) for k in range(times)]
    video.join(pieces, info, table, video.encoding_for(target, info, preset="web"))
    return Sample(target, sample.reference)


def peak_of(sample: Sample, target: Path, encoder: list[str]) -> tuple[float, float]:
    """(peak memory in MB, seconds) of colouring a film in a process of its own."""
    options = [word for option in encoder for word in ("--encoder", option)]
    words = ["colorize", sample.film, target, "--reference", sample.reference, "--preset", "web", *options, "--json"]
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", "from kinochrome.cli import main; main()", *map(str, words)], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"colorize ended with {process.returncode}")
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    return usage.ru_maxrss / unit, time.monotonic() - started


def main(
    minutes: Annotated[str, typer.Option(help="Of each film, comma between; the first is compared with.")] = "1,10",
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT, even.")] = "1920x1080",
    drawn: Annotated[int, typer.Option(help="Frames that are drawn and then repeated.", min=2)] = 144,
    encoder: Annotated[list[str] | None, typer.Option(help="KEY=VALUE over the web preset's.")] = None,
) -> None:
    """Prints one table: frames, peak memory, and how much more it is than the first film's."""
    table = Table("film", "frames", "s", "peak MB", "grows by", box=None)
    width, height = (int(number) for number in size.split("x"))
    first = None
    with TemporaryDirectory() as place:
        folder = Path(place)
        sample = make_sample(folder, (height, width), drawn)
        for length in minutes.split(","):
            times = max(1, round(float(length) * 60 * RATE / drawn))
            film = repeated(sample, drawn, times, folder / f"{times}.mp4")
            peak, seconds = peak_of(film, folder / "colour.mp4", encoder or [])
            first = first or peak
            figures = (str(times * drawn), f"{seconds:.0f}", f"{peak:.0f}", f"{peak / first - 1:+.1%}")
            table.add_row(f"{size}, {length} min", *figures)
            (folder / "colour.mp4").unlink()
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
