"""How colours lie on real black-and-white footage, where nobody knows the true ones: one command, one table.

    python benchmarks/footage.py --film grey.mp4 coloured.mp4 [another.mp4]...

Motion is measured on the black-and-white film. A row is one coloured film: how much a* and b* change along the motion
(mean square, over what stays in sight); how much they change a frame where nothing moves (mean length: flicker); the
share of chroma edges where the film has no edge (bleeding); and mean chroma, since grey is steady, too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kinochrome import video
from kinochrome.errors import KinochromeError
from kinochrome.evaluation.footage import FilmClip
from kinochrome.metrics.picture import Picture
from kinochrome.metrics.score import Moment, Score, Truth

STILL = 0.25
"""Pixels a frame: what moves less is taken to stand still."""


def frames(film: Path) -> Iterator[np.ndarray]:
    """R'G'B' of every frame, as clips give it."""
    info = video.probe(film)
    clip = FilmClip(film.stem, info, video.scan(info))
    yield from clip.frames(0, len(clip))


def row(grey: Path, coloured: Path) -> tuple[float, float, float, float]:
    """Change along the motion, flicker, bleeding and chroma."""
    truth, score = Truth(), Score(["warp_error_ab", "bleed"])
    flicker, chroma = [], []
    before = None
    for index, (true, result) in enumerate(zip(frames(grey), frames(coloured), strict=True)):
        moment, picture = truth.show(index, true), Picture(result)
        score.add(moment, picture)
        if before is not None:
            flicker += _flicker(moment, picture.lab[1:] - before)
        before = picture.lab[1:]
        chroma.append(float(np.linalg.norm(before, axis=0).mean()))
    found = score.finish()
    return found["warp_error_ab"] or 0.0, float(np.mean(flicker or [0])), found["bleed"] or 0.0, float(np.mean(chroma))


def _flicker(moment: Moment, change: np.ndarray) -> list[float]:
    """Mean length of the change where the film stands still; none where nothing does."""
    assert moment.motion is not None
    still = np.linalg.norm(moment.motion.forward, axis=-1) < STILL
    return [float(np.linalg.norm(change, axis=0)[still].mean())] if still.any() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--film", type=Path, required=True, help="the black-and-white film")
    parser.add_argument("coloured", type=Path, nargs="+", help="the same film in colour")
    given = parser.parse_args()
    print(f"{'film':<28}{'along motion':>14}{'flicker':>9}{'bleed':>8}{'chroma':>8}")
    for film in given.coloured:
        try:
            figures = row(given.film, film)
        except (KinochromeError, ValueError) as error:
            sys.exit(f"{film} cannot be compared with {given.film}: {error}")
        print(f"{film.name:<28}{figures[0]:14.3f}{figures[1]:9.3f}{figures[2]:8.3f}{figures[3]:8.2f}", flush=True)


if __name__ == "__main__":
    main()
