"""Colours a film from Python and prints where another reference would help.

python examples/colour_a_film.py film.mp4 colour.mp4 still.png@0
"""

from __future__ import annotations

import sys
from typing import Any

import kinochrome


def show(event: str, data: dict[str, Any]) -> None:
    """Called with each event of the run."""
    if event == "plan":
        print(f"{data['frames']} frames in {data['shots']} shots")
    if event == "piece":
        print(f"shot {data['shot']}: frames {data['start']} to {data['stop'] - 1}")


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit(f"usage: {sys.argv[0]} SOURCE TARGET REFERENCE...")
    source, target, *references = sys.argv[1:]
    try:
        summary = kinochrome.colorize(source, target, references=references, report=show)
    except kinochrome.KinochromeError as error:
        sys.exit(f"error: {error}")
    for shot in summary.shots:
        print(f"shot {shot.number}: {shot.explained:.0%} explained; a new reference would help most at {shot.weakest}")
    print(f"{summary.target}: {summary.frames} frames in {summary.seconds:.1f} s")


if __name__ == "__main__":
    main()
