"""The benchmarks run, on films so small that their figures mean nothing; no timing decides a test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def printed(name: str, *options: str) -> list[list[str]]:
    """The words of each line that a benchmark prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert not done.returncode, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_speed_compares_the_main_path_with_coding_alone() -> None:
    lines = printed("speed", "--sizes", "96x64,64x48", "--frames", "6", "--repeats", "1")
    assert [line[:4] for line in lines[1:]] == [
        [f"{size},", "6", "frames", way] for size in ("96x64", "64x48") for way in ("colorize", "alone", "PyAV")
    ]
    assert all(float(line[6]) == 1 for line in lines[1:] if line[3] == "alone")
    assert all(float(line[4]) >= 0 for line in lines[1:])


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell a process's peak this way")
def test_memory_tells_a_peak_for_each_length() -> None:
    lines = printed("memory", "--size", "64x48", "--drawn", "8", "--minutes", "0.005,0.02")
    assert [line[:4] for line in lines[1:]] == [["64x48,", "0.005", "min", "8"], ["64x48,", "0.02", "min", "32"]]
    assert all(float(line[5]) > 50 for line in lines[1:]), "a process with torch takes more than 50 MB"
