"""The demo: renders a short film, takes its colour away, gives it back, and compares the result with the truth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from . import color, sheet, video
from .errors import VideoError
from .methods import DEFAULT
from .project import made_folder
from .scenery import SCENES, develop
from .types import Encoding, FrameTable, Shot, Subsampling, VideoInfo

RATE = 24
FADE = 6
"""The last shot dissolves in over this many frames before its start and as many after."""
SOUND_RATE = 48000
CHORDS = (
    (220.0, 277.2, 329.6, 440.0),
    (174.6, 220.0, 261.6, 349.2),
    (196.0, 246.9, 293.7, 392.0),
    (164.8, 196.0, 246.9, 329.6),
)
"""Hertz, a chord a shot."""


@dataclass(frozen=True)
class DemoFilm:
    """What was rendered."""

    film: Path
    """Black and white, with sound."""
    truth: Path
    """The same in colour; its luma is the film's."""
    references: tuple[tuple[Path, int], ...]
    """One coloured frame a shot: the picture, the frame."""
    shots: tuple[Shot, ...]

    @property
    def hints(self) -> list[str]:
        """The references as the command line writes them."""
        return [f"{path}@{frame}" for path, frame in self.references]


@dataclass(frozen=True)
class Score:
    """How near some colouring of one frame is to the truth."""

    frame: int
    grey: float
    """PSNR over R'G'B' in dB of the film as it is."""
    copy: float
    """Of the reference's colours left where they were in the reference."""
    colour: float
    """Of the coloured film."""
    same_luma: bool
    """Every luma code is the film's."""


def render_film(folder: Path, height: int = 360, shot_frames: int = 42, seed: int = 7) -> DemoFilm:
    """Renders the film into a folder: black and white with sound, its truth, and a coloured frame of each shot."""
    made_folder(folder, parents=True)
    shots = tuple(Shot(i * shot_frames, (i + 1) * shot_frames) for i in range(len(SCENES)))
    shots = (*shots[:-1], replace(shots[-1], fade=min(FADE, shot_frames // 3)))
    frames = [(shot.start + shot.stop) // 2 for shot in shots]
    references = tuple((folder / f"reference-{i + 1}.png", frame) for i, frame in enumerate(frames))
    truth, film = _info(height, "444"), _info(height, "grey")
    made = DemoFilm(folder / "film.mkv", folder / "truth.mkv", references, shots)
    encodings = [
        video.encoding_for(target, info, preset="archive") for target, info in ((made.truth, truth), (made.film, film))
    ]
    silent = folder / "film.picture.mkv"
    neutral = np.full((film.height, film.width), 128, np.uint8)
    with video.Writer(made.truth, truth, encodings[0]) as colour, video.Writer(silent, film, encodings[1]) as grey:
        for number, rgb in enumerate(_pictures(shots, (film.height, film.width), seed)):
            luma, cb, cr = planes(rgb)
            colour.write(number, luma, cb, cr)
            grey.write(number, luma, neutral, neutral)
            for path, frame in references:
                if frame == number:
                    video.write_picture(path, color.rgb_from_planes(luma, (cb, cr), truth))
    _add_sound(silent, film, encodings[1], shots)
    return made


def _info(height: int, subsampling: Subsampling) -> VideoInfo:
    return VideoInfo(
        path=Path("rendered"),  # there is no source
        width=height * 16 // 9 // 2 * 2,
        height=height,
        pixel_format="gray" if subsampling == "grey" else f"yuv{subsampling}p",
        depth=8,
        subsampling=subsampling,
        rgb=False,
        matrix="bt709",
        range="limited",
        primaries="bt709",
        transfer="bt709",
        chroma_location="left",
        rate=Fraction(RATE),
        time_base=Fraction(1, RATE),
    )


def _pictures(shots: tuple[Shot, ...], size: tuple[int, int], seed: int) -> Iterator[np.ndarray]:
    """(h, w, 3) uint16 R'G'B', frame after frame: the scenes with their dissolve, through one lens, on one stock."""
    height, width = size
    source = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    lens = (1.04 - 0.2 * (x * x * 0.8 + y * y * 0.5))[..., None]
    scenes: dict[int, Any] = {}
    for number in range(shots[-1].stop):
        light = np.zeros((height, width, 3), np.float32)
        for i, shot in enumerate(shots):
            share = _share(shots, i, number)
            if share > 0:
                if i not in scenes:
                    scenes = {j: scene for j, scene in scenes.items() if j == i - 1} | {
                        i: SCENES[i](height, width, seed)
                    }
                light += np.float32(share) * scenes[i].picture((number - shot.start) / RATE)
        flicker = np.float32(1 + 0.008 * source.standard_normal())
        picture = develop(light * lens * flicker)
        grain = cv2.GaussianBlur(source.standard_normal(size, np.float32), (0, 0), 0.6) * np.float32(0.022)
        # Grain is the stock's silver: it is in the brightness, not in the colour.
        picture = picture + (grain * (1 - 0.6 * picture.mean(-1)))[..., None]
        yield np.rint(np.clip(picture, 0, 1) * 65535).astype(np.uint16)


def _share(shots: tuple[Shot, ...], i: int, number: int) -> float:
    """How much of shot i, 0..1, is in a frame."""
    begins = ends = 0.0
    for bound, fade, sign in (
        (shots[i].start, shots[i].fade, 1),
        (shots[i].stop, shots[i + 1].fade if i + 1 < len(shots) else 0, -1),
    ):
        since = number - bound + (0.5 if fade else 0)
        part = min(max((since + fade) / (2 * fade), 0.0), 1.0) if fade else float(since >= 0)
        begins, ends = (part, ends) if sign > 0 else (begins, part)
    return begins - ends


def planes(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Limited-range 8-bit luma, Cb, Cr, all (h, w), of uint16 R'G'B' (h, w, 3)."""
    luma, chroma = color.planes_from_rgb(rgb)
    codes = [16 + luma * (219 / 65535), *(128 + (plane - 32768.0) * (224 / 65535) for plane in chroma)]
    first, second, third = (np.rint(plane).astype(np.uint8) for plane in codes)
    return first, second, third


def melody(shots: tuple[Shot, ...]) -> np.ndarray:
    """(samples, 2) float32 in -1..1: plucked chords, one a shot, and a click where a shot begins."""
    sound = np.zeros((shots[-1].stop * SOUND_RATE // RATE, 2), np.float32)
    source = np.random.default_rng(3)
    for shot, chord in zip(shots, CHORDS, strict=False):
        for beat in range(math.ceil(len(shot) / 6)):
            start = (shot.start + beat * 6) * SOUND_RATE // RATE
            time = np.arange(min(SOUND_RATE, len(sound) - start), dtype=np.float32) / SOUND_RATE
            tone = chord[(0, 2, 1, 3, 2, 1, 3)[beat % 7]] * 2 * math.pi
            overtones = [np.sin(tone * n * time) * np.exp(-(3 + 2 * n) * time) / n for n in (1, 2, 3, 4)]
            side = 0.5 + 0.3 * math.sin(beat)
            sound[start : start + len(time)] += 0.16 * np.sum(overtones, 0)[:, None] * (side, 1 - side)
        click = shot.start * SOUND_RATE // RATE
        sound[click : click + 240] += (source.uniform(-0.5, 0.5, 240) * np.linspace(1, 0, 240))[:, None].astype(
            np.float32
        )
    return np.clip(sound, -1, 1)


def _add_sound(silent: Path, film: VideoInfo, encoding: Encoding, shots: tuple[Shot, ...]) -> None:
    """Joins the rendered picture and the melody into the film; the silent file goes."""
    track = silent.with_name("film.sound.flac")
    try:
        video.write_sound(track, melody(shots), SOUND_RATE)
        count = shots[-1].stop
        table = FrameTable(np.arange(count, dtype=np.int64), np.zeros(1, np.int64), count)
        video.join([(silent, 0)], replace(film, path=track), table, encoding)
    finally:
        silent.unlink(missing_ok=True)
        track.unlink(missing_ok=True)


def run(folder: Path, console: Console | None = None, height: int = 360, shot_frames: int = 42) -> list[Score]:
    """The whole demo: leaves films, pictures and a contact sheet in a folder and prints how near the colours came."""
    from .api import colorize
    from .progress import Progress

    console = console or Console()
    console.print("Rendering a short film of our own …")
    made = render_film(folder, height, shot_frames)
    colour, compared, picture = folder / "colour.mkv", folder / "before-after.mp4", folder / "contact-sheet.png"
    command = " ".join(
        ["kinochrome colorize", str(made.film), str(colour), *(f"--reference {hint}" for hint in made.hints)]
    )
    console.print(f"Colouring it, as this would:\n  {command}", highlight=False, soft_wrap=True)
    with Progress(console) as progress:
        summary = colorize(made.film, colour, references=made.hints, overwrite=True, report=progress.report)
        progress.finish(summary)
    console.print("\nComparing it with the truth …")
    scores = compare(made, colour, picture)
    sheet.side_by_side(made.film, colour, compared)
    console.print(_table(made, scores))
    same = sum(score.same_luma for score in scores)
    console.print(f"Luma untouched, to the last code, in {same} of {len(scores)} frames.\n", highlight=False)
    console.print(_what_is_where(made, colour, compared, picture))
    return scores


def _what_is_where(made: DemoFilm, colour: Path, compared: Path, picture: Path) -> Table:
    table = Table.grid(padding=(0, 2))
    for path, line in (
        (picture, "look here first: each shot at a glance"),
        (compared, "before and after side by side, with sound"),
        (made.film, "the film in black and white"),
        (made.references[0][0], "all it was told: one coloured frame a shot"),
        (colour, "the film in colour, lossless, with its sound"),
        (made.truth, "the film as it was rendered: the truth"),
    ):
        table.add_row(str(path), line)
    return table


def compare(made: DemoFilm, colour: Path, target: Path) -> list[Score]:
    """Scores every frame of a coloured film and writes the contact sheet; one pass over both films."""
    truth, result = video.probe(made.truth), video.probe(colour)
    tables = video.scan(truth), video.scan(result)
    if len(tables[0]) != len(tables[1]):
        raise VideoError(
            f"{colour} has {len(tables[1])} frames, {made.truth} has {len(tables[0])}: it is another film."
        )
    stills = {frame: next(iter(video.frames(truth, tables[0], frame, frame + 1))) for _, frame in made.references}
    scores, rows = [], []
    strips: tuple[list, list] = ([], [])
    pairs = zip(video.frames(truth, tables[0]), video.frames(result, tables[1]), strict=True)
    for real, seen in pairs:
        shot, (_, still) = next(
            pair for pair in zip(made.shots, made.references, strict=True) if real.index < pair[0].stop
        )
        grey = sheet.picture_of(replace(real, chroma=None), truth)
        copied = sheet.picture_of(replace(real, chroma=stills[still].chroma), truth)
        pictures = [sheet.picture_of(real, truth), grey, copied, sheet.picture_of(seen, result)]
        values = [psnr(picture, pictures[0]) for picture in pictures[1:]]
        scores.append(Score(real.index, values[0], values[1], values[2], np.array_equal(real.luma, seen.luma)))
        for row, picture in zip(strips, (pictures[3], pictures[0]), strict=True):
            row.append(sheet.squeezed(picture))
        if real.index == shot.start + (len(shot) * 4) // 5:
            reference = (sheet.picture_of(stills[still], truth), f"reference: frame {still}, coloured")
            shown = (f"film, frame {real.index}", f"Kinochrome  {values[2]:.1f} dB", "truth")
            rows.append([(grey, shown[0]), reference, (pictures[3], shown[1]), (pictures[0], shown[2])])
    rows += [
        [(sheet.strip(row), name)]
        for row, name in zip(strips, ("every frame of the result, a column each", "and of the truth"), strict=True)
    ]
    video.write_picture(target, sheet.contact_sheet(rows))
    return scores


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 pictures; infinite where they are the same."""
    error = float(np.mean((picture.astype(np.float32) - truth.astype(np.float32)) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf


def _table(made: DemoFilm, scores: list[Score]) -> Table:
    """Mean PSNR of each shot and of the film, reference frames excluded."""
    table = Table(
        "PSNR in dB, references excluded", *(f"shot {i + 1}" for i in range(len(made.shots))), "film", box=None
    )
    given = {frame for _, frame in made.references}
    counted = [score for score in scores if score.frame not in given]
    for name, line in (
        ("grey", "no colour"),
        ("copy", "reference's colours left in place"),
        ("colour", f"Kinochrome, method {DEFAULT}"),
    ):
        groups = [[s for s in counted if shot.start <= s.frame < shot.stop] for shot in made.shots]
        means = [np.mean([getattr(score, name) for score in group]) for group in (*groups, counted)]
        style = "bold" if name == "colour" else ""
        table.add_row(line, *(f"{mean:.2f}" for mean in means), style=style)
    return table
