"""Colours every film of a folder that has stills beside it; one that fails does not stop the others.

python examples/batch_folder.py films coloured

films/harbour.mp4 is coloured with the stills in films/harbour/ (named by frame number) into coloured/harbour.mp4.
What is there already is left alone, so the command may be given again at any time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import kinochrome

SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".mpg"}


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} FILMS TARGETS")
    films, targets = Path(sys.argv[1]), Path(sys.argv[2])
    if not films.is_dir():
        sys.exit(f"there is no folder {films}")
    targets.mkdir(exist_ok=True)
    failed = 0
    for film in sorted(path for path in films.iterdir() if path.suffix.lower() in SUFFIXES):
        target = targets / f"{film.stem}.mp4"
        if target.exists():
            print(f"{film.name}: done before")
            continue
        try:
            summary = kinochrome.colorize(film, target, references=[film.with_suffix("")])
        except kinochrome.KinochromeError as error:
            failed += 1
            print(f"{film.name}: {error}", file=sys.stderr)
            continue
        explained = sum(shot.explained * (shot.stop - shot.start) for shot in summary.shots) / summary.frames
        print(f"{film.name}: {summary.frames} frames, {explained:.0%} explained")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
