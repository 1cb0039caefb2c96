"""What a person or a program hears while a film is coloured."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from kinochrome import progress
from kinochrome.pipeline import ShotReport, Summary

SHOTS = (
    ShotReport(1, 0, 20, False, ("a.png: its own frame",), 0.875, 13),
    ShotReport(2, 20, 30, True, (), 1.0, 20),
)
SUMMARY = Summary(Path("colour.mkv"), Path("look.sheet.png"), 30, 10, 2.0, SHOTS, ())


def a_run(shown: progress.Progress) -> None:
    shown.report("plan", {"frames": 30, "shots": 2, "pieces": 2, "notes": ("one frame is held",)})
    shown.report("piece", {"shot": 1, "start": 0, "stop": 20})
    shown.report("resumed", {"frames": 10})
    for _ in range(10):
        shown.report("coloured", {"frames": 1})
        shown.report("rendered", {"frames": 1})


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVENT_INTERVAL", 0)


def test_a_person_sees_frames_speed_shot_and_time_left() -> None:
    text = io.StringIO()
    with progress.Progress(Console(file=text, width=150, force_terminal=True)) as shown:
        a_run(shown)
        shown.bars.refresh()
        seen = text.getvalue()
    assert "one frame is held" in seen
    assert "20/30 frames" in seen and "shot 1 of 2" in seen and "left" in seen


def test_the_report_names_the_weakest_frame() -> None:
    text = io.StringIO()
    with progress.Progress(Console(file=text, width=150)) as shown:
        shown.finish(SUMMARY)
    seen = text.getvalue()
    assert "88%" in seen and "13" in seen and "its own frame" in seen
    assert "in colour already" in seen
    assert "look.sheet.png" in seen
    assert "30 frames, 10 of them from an earlier run, 2.0 s, 10.0 frames/s" in seen


def test_a_program_reads_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Progress(Console(file=io.StringIO()), as_json=True) as shown:
        a_run(shown)
        shown.finish(SUMMARY)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events[:2]] == ["note", "plan"]
    assert events[-2]["event"] == "progress" and events[-2]["done"] == 20 and events[-2]["frames"] == 30
    assert events[-1]["event"] == "done" and events[-1]["shots"][0]["weakest"] == 13
