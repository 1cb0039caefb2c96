"""One run at a time: between processes, and free again after one that crashed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kinochrome.errors import ProjectError
from kinochrome.locks import held

HOLD = """
import os, sys, pathlib
from kinochrome.errors import ProjectError
from kinochrome.locks import held
with held(pathlib.Path(sys.argv[1]), ProjectError("busy")):
    print("in", flush=True)
    sys.stdin.readline()
    os._exit(1)
"""


def test_one_holds_it_until_it_ends_however_that_be(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None and other.stdout.readline() == "in\n"
    with pytest.raises(ProjectError, match="busy"), held(lock, ProjectError("busy")):
        pass
    other.communicate("crash\n")
    with held(lock, ProjectError("busy")):
        pass
    assert lock.exists()
