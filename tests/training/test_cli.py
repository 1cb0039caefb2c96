"""The verb `train`, as a person meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kinochrome import cli
from kinochrome.errors import TrainingError
from kinochrome.training import loop

from . import tiny

ROOT = Path(__file__).parents[2]


def run(*words: object) -> str:
    """What a person is told; the exit code is 0."""
    done = CliRunner().invoke(cli.app, ["train", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_run_judged_and_resumed(tmp_path: Path) -> None:
    job = tiny.job(tmp_path, steps=2)
    dev = tiny.clips(tmp_path / "dev")
    words = [job.recipe, "--data", job.data[0], "--out", job.folder, "--dev", dev, "--device", "cpu"]
    said = run(*words)
    assert "step 2: " in said and "dB, the best so far" in said and f"done: {job.folder}" in said.replace("\n", "")
    assert (job.folder / "best.safetensors").exists() and (job.folder / "store").is_dir()
    assert "done: " in run(*words, "--resume")
    with pytest.raises(TrainingError, match="holds a run already"):
        run(*words)


def test_only_the_first_process_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    job = tiny.job(tmp_path, steps=1)
    assert run(job.recipe, "--data", job.data[0], "--out", job.folder, "--device", "cpu") == ""


@pytest.mark.parametrize(("at", "said"), [(1, "stopped and saved"), (0, "stopped before the first step")])
def test_ctrl_c_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, said: str) -> None:
    save = loop._Run._note

    def interrupted(self: loop._Run, figures: dict[str, float]) -> None:
        save(self, figures)
        if self.step == at + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop._Run, "_note", interrupted)
    job = tiny.job(tmp_path)
    done = CliRunner().invoke(
        cli.app,
        ["train", str(job.recipe), "--data", str(job.data[0]), "--out", str(job.folder), "--device", "cpu"],
    )
    assert done.exit_code != 0 and said in done.output


def test_an_error_is_a_sentence_and_has_its_exit_code(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kinochrome", "train", "kino", "--data", str(tmp_path / "nowhere"), "--out",
         str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 8 and "is not there" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
