"""What a person sees while a film is coloured, or a program reads: a progress line, or JSON events."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table

if TYPE_CHECKING:
    from .pipeline import Summary

EVENT_INTERVAL = 0.5
"""Seconds between two progress events."""


class Progress:
    """Shows events on a console, or prints them as JSON; use as a context."""

    def __init__(self, console: Console, as_json: bool = False, to_stdout: bool = True) -> None:
        self.console = console
        self.as_json = as_json
        self.events = sys.stdout if to_stdout else sys.stderr
        self.bars = Bars(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"),
            console=console, transient=True, disable=as_json,
        )  # fmt: skip
        self.task = self.bars.add_task("looking", total=None, text="")
        self.frames = self.shots = self.shot = 0
        self.resumed = self.coloured = self.rendered = 0.0
        self.started = self.told = time.monotonic()

    def __enter__(self) -> Progress:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()
        if kind is KeyboardInterrupt:
            self.console.print("stopped. Give the same command again to go on from the pieces that are done.")

    def report(self, event: str, data: dict[str, Any]) -> None:
        """Takes one event of the pipeline."""
        if event == "plan":
            self.frames, self.shots = data["frames"], data["shots"]
            self.started = time.monotonic()
            for note in data["notes"]:
                self._say("note", {"text": note})
            self._say("plan", {key: data[key] for key in ("frames", "shots", "pieces")})
        elif event == "automatic":
            self._json("automatic", data)
        elif event == "piece":
            self.shot = data["shot"]
        elif event in ("coloured", "rendered", "resumed"):
            setattr(self, event, getattr(self, event) + data["frames"])
        elif event in ("join", "note"):
            self._say(event, data)
        self._show(event, data)

    def _show(self, event: str, data: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self.told < EVENT_INTERVAL:
            return
        self.told = now
        if event == "scan":
            self.bars.update(self.task, description="looking", text=f"{data['frame']} frames")
            self._json("scan", data)
            return
        if event == "automatic":
            text = f"shot {data['shot']}, frame {data['frame']}"
            self.bars.update(self.task, description="making references", text=text)
            return
        if event == "tune":
            text = f"shot {data['shot']} of {self.shots}, step {data['step']} of {data['steps']}"
            self.bars.update(self.task, description="tuning", text=text)
            self._json("tune", data)
            return
        # Colouring and rendering are half the work each; frames finished by an earlier run cost nothing.
        worked = (self.coloured + self.rendered) / 2
        done = self.resumed + worked
        speed = worked / (now - self.started) if now > self.started else 0.0
        left = (self.frames - done) / speed if speed else None
        text = f"{int(done)}/{self.frames} frames, {speed:.1f}/s, shot {self.shot} of {self.shots}"
        if left is not None:
            text += f", {int(left) // 60}:{int(left) % 60:02d} left"
        description = "joining" if event == "join" else "bringing back" if event == "backward" else "colouring"
        self.bars.update(self.task, description=description, total=self.frames, completed=done, text=text)
        self._json(
            "progress",
            {
                "done": int(done),
                "frames": self.frames,
                "shot": self.shot,
                "shots": self.shots,
                "frames_per_second": round(speed, 2),
                "seconds_left": None if left is None else round(left, 1),
            },
        )

    def _say(self, event: str, data: dict[str, Any]) -> None:
        if event == "note" and not self.as_json:
            self.console.print(f"[yellow]note:[/yellow] {escape(data['text'])}", highlight=False, soft_wrap=True)
        self._json(event, data)

    def _json(self, event: str, data: dict[str, Any]) -> None:
        if self.as_json:
            print(json.dumps({"event": event, **data}), file=self.events, flush=True)

    def finish(self, summary: Summary) -> None:
        """Prints the report of each shot."""
        self.bars.stop()
        if self.as_json:
            paths = {"target": str(summary.target), "sheet": str(summary.sheet) if summary.sheet else None}
            self._json("done", {**asdict(summary), **paths})
            return
        table = Table("shot", "frames", "explained", "weakest frame", "references", box=None)
        for shot in summary.shots:
            explained = f"{shot.explained:.0%}" if shot.references else "guessed"
            explained = "in colour already" if shot.in_colour else explained
            weakest = "" if shot.in_colour else str(shot.weakest)
            names = escape("; ".join(shot.references)) or "-"
            table.add_row(str(shot.number), f"{shot.start}-{shot.stop - 1}", explained, weakest, names)
        if summary.shots:
            self.console.print(table)
        made = summary.frames - summary.resumed
        speed = f", {made / summary.seconds:.1f} frames/s" if made and summary.seconds else ""
        resumed = f", {summary.resumed} of them from an earlier run" if summary.resumed else ""
        self.console.print(
            f"{summary.target}: {summary.frames} frames{resumed}, {summary.seconds:.1f} s{speed}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        if summary.sheet:
            self.console.print(f"{summary.sheet}: frames of it at a glance", highlight=False, markup=False)
