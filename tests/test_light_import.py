"""Asking for help costs next to nothing: neither the package nor the command line loads what it does not need yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "av", "cv2", "scenedetect", "safetensors")

REPORT = f"""
import sys
print("loaded:", *[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


def loaded(program: str) -> list[str]:
    done = run(program + REPORT)
    assert done.returncode == 0, done.stderr
    return next(line for line in done.stderr.splitlines() if line.startswith("loaded:")).split()[1:]


def command(*words: str) -> str:
    return f"""
import sys
sys.argv = {["kinochrome", *words]!r}
from kinochrome.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


@pytest.mark.parametrize(
    "words", [("--help",), ("--version",), ("colorize", "--help"), ("demo", "--help"), ("methods",)]
)
def test_help_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    assert loaded(command(*words)) == []


def test_the_package_loads_nothing_heavy() -> None:
    assert loaded("import kinochrome; kinochrome.__all__; kinochrome.__version__") == []
    assert loaded("import kinochrome; kinochrome.KinochromeError, kinochrome.VideoInfo") == []


def test_the_check_can_fail() -> None:
    assert loaded("import kinochrome; kinochrome.colorize") != []


def test_help_names_every_verb() -> None:
    text = run(command("--help")).stdout
    verbs = "colorize stills shots methods weights data evaluate preferences train demo doctor"
    for verb in verbs.split():
        assert verb in text
