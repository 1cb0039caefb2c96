"""Where a film's shots begin and end, found during the one scan or read from a file that a person edited."""

from __future__ import annotations

from kinochrome.shots.finder import ShotFinder
from kinochrome.shots.likeness import most_alike
from kinochrome.shots.lists import read_shots, shots_csv, write_shots

__all__ = ["ShotFinder", "most_alike", "read_shots", "shots_csv", "write_shots"]
