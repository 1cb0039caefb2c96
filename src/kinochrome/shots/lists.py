"""Lists of shots on disk, made to be edited by hand: CSV, and the edit decision lists (CMX 3600) of editing suites."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from kinochrome.errors import HintError
from kinochrome.types import FrameTable, Shot, VideoInfo

COLUMNS = ("shot", "start", "stop", "start_time", "stop_time", "fade", "colour")
YES_OR_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}
LONGEST_EDL_FADE = 499
"""Frames; an edit decision list has three digits for the whole dissolve."""
EVENT = re.compile(
    r"(?P<number>\S+)\s+(?P<reel>\S+)\s+(?P<channel>\S+)\s+(?P<kind>[A-Z]\S*)(?:\s+(?P<length>\d+))?"
    r"(?P<times>(?:\s+\d+[:;.]\d+[:;.]\d+[:;.]\d+){4})\s*$"
)


def write_shots(shots: list[Shot], table: FrameTable, info: VideoInfo, path: Path) -> None:
    """A list of shots at `path`: CSV or EDL by its suffix."""
    text = _format_of(path).write(shots, table, info, path)
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_text(text, encoding="utf-8", newline="")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise HintError(f"{path}: the shot list cannot be written ({error.strerror}); choose another place.") from error


def read_shots(path: Path, table: FrameTable, info: VideoInfo) -> list[Shot]:
    """The shots in the file at `path`, which must cover the film exactly; a HintError tells where not."""
    form = _format_of(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise HintError(f"{path}: the shot list cannot be read ({error.strerror}); check the path.") from error
    except UnicodeDecodeError as error:
        raise HintError(f"{path}: not a text file in UTF-8; save the shot list as plain CSV or EDL.") from error
    listed = form.read(lines, path, info)
    _check(listed, path, len(table))
    return [entry.shot for entry in listed]


@dataclass(frozen=True)
class _Listed:
    line: int
    shot: Shot


@dataclass(frozen=True)
class _Format:
    write: Callable[[list[Shot], FrameTable, VideoInfo, Path], str]
    read: Callable[[list[str], Path, VideoInfo], list[_Listed]]


def _format_of(path: Path) -> _Format:
    formats = {
        ".csv": _Format(lambda shots, table, info, _: shots_csv(shots, table, info), _from_csv),
        ".edl": _Format(_edl, _from_edl),
    }
    if path.suffix.lower() not in formats:
        raise HintError(f"{path}: a shot list is a .csv or an .edl file; give it one of these suffixes.")
    return formats[path.suffix.lower()]


def _check(listed: list[_Listed], path: Path, frames: int) -> None:
    """The shots follow each other without gap or overlap from the first frame to the last, and fades fit in them."""
    if not listed:
        raise HintError(f"{path}: no shot is listed; a film needs at least one, over frames 0 to {frames}.")
    expected, before = 0, None
    for entry in listed:
        shot, where = entry.shot, f"{path}, line {entry.line}"
        if shot.stop <= shot.start:
            raise HintError(
                f"{where}: the shot stops at frame {shot.stop}, not after its start {shot.start}; swap them."
            )
        if shot.start != expected:
            what = "frames are missing between" if shot.start > expected else "the shot overlaps or precedes"
            raise HintError(
                f"{where}: {what} the shot before, which stops at {expected}, and this one, which starts at "
                f"{shot.start}; shots follow each other from frame 0, so start it at {expected}."
            )
        if shot.stop > frames:
            raise HintError(f"{where}: the shot stops at frame {shot.stop}, the film at {frames}; stop it there.")
        room = min(before.stop - before.start - before.fade, shot.stop - shot.start) if before else 0
        if not 0 <= shot.fade <= room:
            raise HintError(f"{where}: a fade of {shot.fade} frames does not fit; here it may be 0 to {room}.")
        expected, before = shot.stop, shot
    if expected != frames:
        raise HintError(
            f"{path}, line {listed[-1].line}: the last shot stops at frame {expected}, the film at {frames}; "
            f"set its stop to {frames} or add the missing shots."
        )


# CSV


def shots_csv(shots: list[Shot], table: FrameTable, info: VideoInfo) -> str:
    """The list of shots as CSV, a header line first."""
    rows = [",".join(COLUMNS)]
    for number, shot in enumerate(shots, start=1):
        times = [_clock(frame, table, info) for frame in (shot.start, shot.stop)]
        colour = "yes" if shot.colour else "no"
        rows.append(f"{number},{shot.start},{shot.stop},{times[0]},{times[1]},{shot.fade},{colour}")
    return "\n".join(rows) + "\n"


def _clock(frame: int, table: FrameTable, info: VideoInfo) -> str:
    """h:mm:ss.mmm since the first frame."""
    pts = table.stop_pts if frame == len(table) else int(table.pts[frame])
    milliseconds = round((pts - int(table.pts[0])) * info.time_base * 1000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{milliseconds:03d}"


def _from_csv(lines: list[str], path: Path, info: VideoInfo) -> list[_Listed]:
    # Spreadsheets of some countries save semicolons or tabs.
    header = lines[0] if lines else ""
    delimiter = max(",;\t", key=header.count)
    rows = csv.reader(lines, delimiter=delimiter)
    names = [name.strip().lower() for name in next(rows, [])]
    missing = {"start", "stop"} - set(names)
    if missing:
        raise HintError(
            f"{path}, line 1: no column {' and '.join(sorted(missing))}; the header is {','.join(COLUMNS)}."
        )
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise HintError(f"{path}, line 1: column {unknown[0]!r} is unknown; the header is {','.join(COLUMNS)}.")
    listed = []
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        where = f"{path}, line {rows.line_num}"
        if len(row) > len(names):
            raise HintError(f"{where}: {len(row)} cells under {len(names)} columns; remove what is too much.")
        listed.append(_Listed(rows.line_num, _shot(dict(zip(names, row, strict=False)), where)))
    return listed


def _shot(cells: dict[str, str], where: str) -> Shot:
    colour = cells.get("colour", "").strip().lower()
    if colour not in YES_OR_NO:
        raise HintError(f"{where}: colour is {colour!r}; write yes or no.")
    start, stop = (_frames(cells.get(name, ""), name, where) for name in ("start", "stop"))
    return Shot(start, stop, _frames(cells.get("fade", "").strip() or "0", "fade", where), YES_OR_NO[colour])


def _frames(text: str, name: str, where: str) -> int:
    text = text.strip()
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise HintError(f"{where}: {name} is {text!r}; write a whole number of frames, 0 or more.")
    return int(text)


# EDL


def _edl(shots: list[Shot], table: FrameTable, info: VideoInfo, path: Path) -> str:
    rows = [f"TITLE: {path.stem}", "FCM: NON-DROP FRAME", ""]
    fades = [*(shot.fade for shot in shots[1:]), 0]
    for number, (shot, fade) in enumerate(zip(shots, fades, strict=True), start=1):
        if shot.fade > LONGEST_EDL_FADE:
            raise HintError(f"{path}: shot {number} fades too long for an EDL ({2 * shot.fade} frames); write a .csv.")
        start, stop = (_timecode(frame, info) for frame in (shot.start - shot.fade, shot.stop - fade))
        event = f"{number:03d}  AX       V     "
        if shot.fade:
            rows += [
                f"{event}C        {start} {start} {start} {start}",
                f"{event}D    {2 * shot.fade:03d} {start} {stop} {start} {stop}",
            ]
        else:
            rows += [f"{event}C        {start} {stop} {start} {stop}"]
        rows += ["* COLOUR"] * shot.colour
    return "\n".join(rows) + "\n"


def _frames_a_second(rate: Fraction) -> int:
    """Non-drop timecode counts whole frames: 24 a second for 24000/1001."""
    return max(1, round(rate))


def _timecode(frame: int, info: VideoInfo) -> str:
    seconds, frames = divmod(frame, _frames_a_second(info.rate))
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


@dataclass(frozen=True)
class _Event:
    line: int
    number: str
    dissolve: int
    start: int
    stop: int
    colour: bool = False


def _from_edl(lines: list[str], path: Path, info: VideoInfo) -> list[_Listed]:
    events: list[_Event] = []
    for line, text in enumerate(lines, start=1):
        where = f"{path}, line {line}"
        if text.strip().upper() == "* COLOUR" and events:
            events[-1] = replace(events[-1], colour=True)
        elif text.strip().upper() == "FCM: DROP FRAME":
            raise HintError(f"{where}: drop-frame timecode; export the list with non-drop timecode.")
        elif text.strip()[:1].isdigit():
            events += _event(text.strip(), line, where, info)
    # Before a dissolve, the outgoing shot is named by an event of no length with the same number.
    kept = [
        event
        for event, after in zip(events, [*events[1:], None], strict=False)
        if not (after and event.start == event.stop and event.number == after.number and after.dissolve)
    ]
    middles = [event.start + event.dissolve // 2 for event in kept]
    stops = [*middles[1:], kept[-1].stop] if kept else []
    for event, after in pairwise(kept):
        if event.stop != after.start:
            raise HintError(
                f"{path}, line {after.line}: the event begins at frame {after.start}, the one before ends at "
                f"{event.stop}; let record times follow each other without gap or overlap, from 00:00:00:00."
            )
    return [
        _Listed(event.line, Shot(middle, stop, event.dissolve // 2, event.colour))
        for event, middle, stop in zip(kept, middles, stops, strict=True)
    ]


def _event(text: str, line: int, where: str, info: VideoInfo) -> list[_Event]:
    """The event in a line; none where it is sound."""
    match = EVENT.fullmatch(text)
    if not match:
        raise HintError(f"{where}: not an event of a CMX 3600 list: {text!r}; compare `kinochrome shots` output.")
    if "V" not in match["channel"].upper() and match["channel"].upper() != "B":
        return []
    kind, length = match["kind"], match["length"]
    if kind not in ("C", "D") or (kind == "D") != (length is not None):
        raise HintError(f"{where}: only cuts (C) and dissolves (D with a length) are known; make {kind!r} one of them.")
    _, _, start, stop = (_frame_of(time, where, info) for time in match["times"].split())
    return [_Event(line, match["number"], int(length or 0), start, stop)]


def _frame_of(time: str, where: str, info: VideoInfo) -> int:
    base = _frames_a_second(info.rate)
    if ";" in time or "." in time:
        raise HintError(f"{where}: drop-frame timecode {time}; export the list with non-drop timecode (colons).")
    hours, minutes, seconds, frames = (int(part) for part in time.split(":"))
    if minutes > 59 or seconds > 59 or frames >= base:
        raise HintError(
            f"{where}: {time} is no timecode at {base} frames a second; export the list at the film's rate."
        )
    return ((hours * 60 + minutes) * 60 + seconds) * base + frames
