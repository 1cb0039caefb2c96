"""Everything that is settled before the first frame is coloured: the film, its shots, its hints, its pieces.

Whatever can be wrong with what a person gave is found here, so that an error never costs them an hour.
"""

from __future__ import annotations

import inspect
import io
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from . import chain, clips, hints, project, proposals, shots, video, weights
from .chain import Step
from .clips import Piece
from .errors import MethodError, VideoError
from .hints import Serving
from .methods import DEFAULT
from .nets.processor import computes_in_bfloat16
from .project import PictureHint
from .threads import half_of_pytorch
from .types import Encoding, FrameTable, Shot, Tunable, VideoInfo
from .video.pictures import matching

Report = Callable[[str, dict[str, Any]], None]
"""Called with an event's name and what belongs to it; see docs/cli.md for the events."""

PREVIEW_HEIGHT = 240

SAME_VIEW = 0.9
"""From this likeness a shot without a hint borrows a reference even where it could have one made."""

Served = tuple[int, Shot, tuple[Serving, ...]]
"""A shot's number, the part of it that is coloured, and what serves it."""


def place_of(target: Path) -> Path:
    """What a target means: itself, or the folder that pictures such as `frames/%06d.png` go to."""
    pictures = project.NUMBERED.search(target.name) and target.suffix.lower() in project.PICTURE_SUFFIXES
    return target.parent if pictures else target


@dataclass(frozen=True)
class Job:
    """One film to be coloured, as a person asks for it. The command line's words, one for one."""

    source: Path
    target: Path
    method: str = DEFAULT
    references: tuple[str, ...] = ()
    scribbles: tuple[str, ...] = ()
    auto_reference: str = ""
    """The method that colours a frame of each shot for which no reference was given; or a `.toml` file of one."""
    shots: Path | None = None
    project: Path | None = None
    fresh: bool = False
    overwrite: bool = False
    device: str = "auto"
    height: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    """`METHOD.OPTION` to its value."""
    preset: str | None = None
    encoder: Mapping[str, str] = field(default_factory=dict)
    saturation: float = 1.0
    confidence: Path | None = None
    deinterlace: bool = False
    rate: Fraction | None = None
    """Frames a second of a source that does not say it: pictures, raw streams."""
    recolor: bool = False
    start: Fraction | None = None
    """In seconds from the film's first frame."""
    stop: Fraction | None = None
    preview: bool = False
    tune: int = 0
    """So many steps does a shot teach its method with its own references, before it is coloured."""

    @property
    def place(self) -> Path:
        """What appears when the film is done."""
        return place_of(self.target)

    @property
    def folder(self) -> Path:
        """The project folder."""
        if self.project:
            return self.project
        if self.place.name in ("", ".."):  # pictures for the working folder itself, say
            return self.place / f"{self.target.name or 'film'}.kinochrome"
        return self.place.with_name(self.place.name + ".kinochrome")


@dataclass(frozen=True)
class Plan:
    """What is to be done, piece by piece."""

    job: Job
    source: VideoInfo
    """The film as it is."""
    info: VideoInfo
    """The film as it is rendered: the same, but smaller for a preview."""
    table: FrameTable
    shots: tuple[Shot, ...]
    """Those within the range asked for."""
    numbers: tuple[int, ...]
    """What each shot is called, counted from 1 over the whole film."""
    servings: tuple[tuple[Serving, ...], ...]
    """The references and scribbles of each shot."""
    encoding: Encoding
    confidence: Encoding | None
    steps: tuple[Step, ...]
    pieces: tuple[Piece, ...]
    names: tuple[str, ...]
    """One a piece: where it starts and a digest of all that it depends on."""
    notes: tuple[str, ...]

    @property
    def span(self) -> tuple[int, int]:
        """The frames that are written."""
        return self.pieces[0].start, self.pieces[-1].stop

    def first(self, shot: int) -> int:
        """The number of a shot's first piece."""
        return next(number for number, piece in enumerate(self.pieces) if piece.shot == shot)

    def path(self, number: int, suffix: str) -> Path:
        """A file of a piece in the project folder."""
        return self.job.folder / "segments" / (self.names[number] + suffix)

    def segment(self, number: int, confidence: bool = False) -> Path:
        """Where a piece's film lies; a target of pictures has folders for segments."""
        encoding = self.confidence if confidence and self.confidence else self.encoding
        suffix = {"film": encoding.target.suffix, "y4m": ".mkv"}.get(encoding.kind, "")
        return self.path(number, (".confidence" if confidence else "") + suffix)


def check_words(job: Job) -> None:
    """The numbers of a job lie where they mean something."""
    if not 0 <= job.saturation <= 4:
        raise MethodError(f"--saturation {job.saturation} is out of range. Give 0 (none) to 4; 1 leaves it as it is.")
    if not 0 <= job.tune <= 10000:
        raise MethodError(f"--tune {job.tune} is out of range. Give 0 (none) to 10000 steps; 150 is a good start.")


def prepare(job: Job, report: Report) -> Plan:
    """Looks at everything once and settles what is to be done; every foreseeable error is raised here."""
    source = video.probe(job.source, job.deinterlace, job.rate)
    if source.interlaced and not job.deinterlace:
        raise VideoError(
            f"{job.source} is interlaced: each of its frames mixes two moments. Add --deinterlace (FFmpeg's bwdif)."
        )
    info = _preview_info(source) if job.preview else source
    encoding = video.encoding_for(job.target, info, job.preset, dict(job.encoder))
    stream_notes = video.check_streams(info, encoding)
    confidence = video.encoding_for(job.confidence, info) if job.confidence else None
    own, painters = proposals.options_for(job.auto_reference, job.method, job.options)
    steps = chain.load(job.method, own, job.device, info, job.height)
    painter = _painter(job, painters, steps, source) if job.auto_reference else None
    if job.tune and not any(isinstance(step.method, Tunable) for step in steps):
        raise MethodError(f"--tune {job.tune}: {job.method} has nothing to tune. Use --method kino, or leave it out.")
    given = [hint for text in job.references for hint in project.parse_reference(text)]
    drawn = [hint for text in job.scribbles for hint in project.parse_scribble(text)]
    hint_notes = _check_hints(given, drawn, steps, source)
    digests = {hint.picture: project.file_digest(hint.picture) for hint in (*given, *drawn)}

    folder_project = project.Project(
        str(job.source.absolute()),
        project.fingerprint(video.source_files(job.source)),
        job.method,
        dict(job.options),
        tuple(given),
        tuple(drawn),
        version=project.VERSION,
    )
    project.open_folder(job.folder, folder_project, job.fresh)
    table, finder = _scan(source, job, folder_project.fingerprint, report)
    notes = [*stream_notes, *video.check_times(info, encoding, table), *_damage_notes(table, source), *hint_notes]

    found = shots.read_shots(job.shots, table, source) if job.shots else finder.shots(job.recolor)
    found = clips.without_bad_fades([replace(s, colour=s.colour and not job.recolor) for s in found])
    project.save(replace(folder_project, shots=tuple(found)), job.folder)
    serving = hints.assign(hints.place(given, found, table, source), found, finder.thumbnails)
    serving = hints.with_scribbles(serving, hints.place(drawn, found, table, source, "--scribble"), found)
    kept = _within(found, serving, _range(job, table, source))
    if painter:
        film = proposals.Film(source, table, finder.thumbnails)
        kept = _with_automatic(kept, found, _maker(painter, film, job, folder_project.fingerprint), report)
        digests |= _picture_digests(kept)
    notes += _check_needs(steps, kept, job)

    cut = [shot for _, shot, _ in kept]
    pieces = clips.split(cut, min(step.method.longest for step in steps))
    notes += _pictures_left(encoding, pieces[0].start, pieces[-1].stop)
    film_key = project.digest(
        folder_project.fingerprint, asdict(info), len(table), _encoding_key(encoding), _encoding_key(confidence),
        [_step_key(step) for step in steps], job.saturation, job.tune,
        _surroundings(job.device),
    )  # fmt: skip
    names = _names(film_key, pieces, kept, digests)
    plan = Plan(
        job, source, info, table, tuple(cut), tuple(n for n, _, _ in kept), tuple(s for _, _, s in kept),
        encoding, confidence, steps, tuple(pieces), tuple(names), tuple(notes),
    )  # fmt: skip
    _check_space(plan)
    return plan


def _pictures_left(encoding: Encoding, start: int, stop: int) -> list[str]:
    """A note on pictures of the same pattern that stay among those to come; a part of a film may be made anew."""
    target = encoding.target
    if encoding.kind != "pictures":
        return []
    mine = {target.name % number for number in range(start, stop)}
    left = sorted({file.name for file in matching(target)} - mine)
    return [f"{target.parent} keeps {len(left)} other pictures of that name, such as {left[0]}."] if left else []


def _preview_info(info: VideoInfo) -> VideoInfo:
    """The film small enough to be rendered in a moment; even sizes suit every encoder."""
    scale = min(1.0, PREVIEW_HEIGHT / min(info.height, info.width))
    return replace(
        info, width=max(2, round(info.width * scale / 2) * 2), height=max(2, round(info.height * scale / 2) * 2)
    )


def _check_hints(
    given: list[PictureHint], drawn: list[PictureHint], steps: tuple[Step, ...], info: VideoInfo
) -> list[str]:
    """An error for a picture that cannot be read, holds nothing or is of no use; a note on one that is grey."""
    first = steps[0]
    # Scribbles reach a method's pieces as references: see `chain.scribbled`.
    if drawn and not {"scribble", "reference"} <= first.method.uses:
        raise MethodError(
            f"--scribble {drawn[0]}: {first.name} makes nothing of scribbles. Add --method kino, or colour the whole "
            "still and give it as a --reference."
        )
    if given and not any("reference" in step.method.uses for step in steps):
        raise MethodError(
            f"--reference {given[0]}: {first.name} makes nothing of references. Add --method {DEFAULT}, "
            "or leave it out."
        )
    for hint in drawn:
        hints.strokes(hint.picture, info.upright_size)
    grey = [str(hint) for hint in given if clips.is_grey(video.read_picture(hint.picture))]
    return [f"--reference {hint} is grey, and says that all it shows is grey." for hint in grey]


def _painter(job: Job, options: Mapping[str, str], steps: tuple[Step, ...], source: VideoInfo) -> proposals.Painter:
    """Who makes the references that nobody gave. The film's own size counts, so a preview shows the same pictures."""
    if not any("reference" in step.method.uses for step in steps):
        raise MethodError(
            f"--auto-reference {job.auto_reference}: {job.method} makes nothing of references. Add --method {DEFAULT}, "
            "or leave --auto-reference out."
        )
    return proposals.load(proposals.Wanted(job.auto_reference, options, job.device, job.height), source)


def _maker(painter: proposals.Painter, film: proposals.Film, job: Job, fingerprint: str) -> proposals.Maker:
    album = proposals.Album(job.folder)
    if job.fresh:
        album.clear()
    painter_key = project.digest(painter.name, _step_key(painter.step), _versions())
    return proposals.Maker(painter, film, album, project.digest(fingerprint, film.info.deinterlace), painter_key)


def _with_automatic(kept: list[Served], found: list[Shot], maker: proposals.Maker, report: Report) -> list[Served]:
    """The same, and a picture of its own for each grey shot that has no hint."""
    result = []
    for number, shot, servings in kept:
        if not shot.colour and not any(_is_hint(serving, shot, maker.film.thumbnails) for serving in servings):
            picture, frame = maker.reference(number, proposals.clear_span(found, number - 1, shot))
            report("automatic", {"shot": number, "frame": frame, "method": maker.painter.name})
            why = f"coloured by {maker.painter.name}"
            servings = (Serving(PictureHint(picture, frame=frame), frame, why),)
        result.append((number, shot, servings))
    return result


def _is_hint(serving: Serving, shot: Shot, thumbnails: np.ndarray) -> bool:
    """It was given for this shot, or shows the very same view: what a person chose goes before a guess."""
    lender = serving.hint.frame
    if serving.frame is not None or lender is None:
        return True
    middle = (shot.start + shot.stop) // 2
    return shots.most_alike(thumbnails[middle], thumbnails[lender : lender + 1])[1] >= SAME_VIEW


def _picture_digests(kept: list[Served]) -> dict[Path, str]:
    pictures = {serving.hint.picture for _, _, servings in kept for serving in servings}
    return {picture: project.file_digest(picture) for picture in pictures}


def _scan(info: VideoInfo, job: Job, fingerprint: str, report: Report) -> tuple[FrameTable, shots.ShotFinder]:
    """The one pass over the film, or what an earlier run kept of it."""
    path = job.folder / "scan.npz"
    key = project.digest(fingerprint, info.deinterlace, info.rate, _versions())
    stored = _stored_scan(path, key)
    if stored is not None:
        return stored[0], shots.ShotFinder.from_arrays(info, stored[1])
    finder = shots.ShotFinder(info)

    def see(frame: Any) -> None:
        finder.see(frame)
        report("scan", {"frame": frame.index + 1})

    table = video.scan(info, see)
    content = io.BytesIO()
    np.savez(
        content, key=key, pts=table.pts, keyframes=table.keyframes, stop_pts=table.stop_pts,
        held=np.array(table.held, np.int64), **finder.arrays(),  # type: ignore[arg-type]
    )  # fmt: skip
    project.write_atomically(path, content.getvalue())
    return table, finder


def _stored_scan(path: Path, key: str) -> tuple[FrameTable, dict[str, np.ndarray]] | None:
    """What an earlier run kept of its scan; None if there is none, of another film, or damaged (a power cut)."""
    try:
        with np.load(path) as stored:
            arrays = dict(stored)
        if str(arrays.pop("key")) != key:
            return None
        held = tuple(arrays.pop("held").tolist())
        return FrameTable(arrays.pop("pts"), arrays.pop("keyframes"), int(arrays.pop("stop_pts")), held), arrays
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _damage_notes(table: FrameTable, info: VideoInfo) -> list[str]:
    """What of the film could not be had: damaged frames, gaps between frames, an end that never comes."""
    notes = []
    if table.held:
        some = ", ".join(map(str, table.held[:8])) + (", …" if len(table.held) > 8 else "")
        notes.append(f"{info.path.name}: {len(table.held)} damaged frame(s) are held from their neighbours: {some}")
    steps = np.diff(table.pts)
    usual = float(np.median(steps)) if len(steps) else 0.0
    gaps = np.flatnonzero(steps > 1.6 * usual)
    # Where many steps are long the rate simply varies.
    if 0 < len(gaps) <= len(steps) / 10:
        lost = round(float((steps[gaps] / usual - 1).sum()))
        some = ", ".join(map(str, gaps[:8])) + (", …" if len(gaps) > 8 else "")
        notes.append(f"{info.path.name}: about {lost} frame(s) are missing; these stay on screen meanwhile: {some}")
    end = video.declared_end(info.path)
    missing = 0.0 if end is None else float(end - table.stop_pts * info.time_base)
    if missing * float(info.rate) > 2.5:
        notes.append(
            f"{info.path.name} should last {missing:.2f} s longer: it was cut short. What there is, is coloured."
        )
    return notes


def _range(job: Job, table: FrameTable, info: VideoInfo) -> tuple[int, int]:
    start = 0 if job.start is None else hints.frame_at(job.start, table, info)
    stop = len(table) if job.stop is None else hints.frame_at(job.stop, table, info)
    if start >= stop:
        seconds = float((table.stop_pts - table.pts[0]) * info.time_base)
        raise VideoError(f"--from and --to leave no frame of {info.path.name}, which is {seconds:.2f} seconds long.")
    return start, stop


def _within(found: list[Shot], serving: list[list[Serving]], span: tuple[int, int]) -> list[Served]:
    """What lies within the range, cut to it."""
    kept: list[Served] = []
    for number, (shot, servings) in enumerate(zip(found, serving, strict=True), 1):
        start, stop = max(shot.start, span[0]), min(shot.stop, span[1])
        if start < stop:
            # A dissolve whose first half is cut away has nothing left to dissolve from.
            fade = min(shot.fade, (stop - start) // 2) if kept and start == shot.start else 0
            kept.append((number, replace(shot, start=start, stop=stop, fade=fade), tuple(servings)))
    return [(n, s, v) for (n, _, v), s in zip(kept, clips.without_bad_fades([s for _, s, _ in kept]), strict=True)]


def _check_needs(steps: tuple[Step, ...], kept: list[Served], job: Job) -> list[str]:
    """An error where a shot lacks what a method needs; a note where the method will have to guess."""
    unknown = [str(number) for number, shot, servings in kept if not servings and not shot.colour]
    without = [str(number) for number, shot, own in kept if all(s.scribble for s in own) and not shot.colour]
    give = f"Colour a still and give it with its frame number: --reference STILL.png@{kept[0][1].start}"
    for step in steps:
        if without and "reference" in step.method.needs:
            raise MethodError(
                f"The method {step.name} needs a reference, and shot {', '.join(without)} of {job.source.name} has "
                f"none. {give}, or have one made: --auto-reference kino"
            )
    if unknown and "reference" in steps[0].method.uses:
        return [f"shot {', '.join(unknown)}: no reference, so {steps[0].name} guesses the colours. {give}"]
    return []


def _names(film_key: str, pieces: list[Piece], kept: list[Served], digests: Mapping[Path, str]) -> list[str]:
    """A piece depends on the film, its shot's hints, and on the piece that hands colours over to it."""
    names: list[str] = []
    before = ""
    for piece in pieces:
        _, shot, servings = kept[piece.shot]
        given = [(digests[s.hint.picture], s.frame, s.scribble) for s in servings]
        linked = before if piece.continues or shot.fade else ""
        before = project.digest(film_key, asdict(piece), asdict(shot), given, linked)
        names.append(f"{piece.start:08d}-{before}")
    return names


def _step_key(step: Step) -> list[Any]:
    """What a method's colours depend on besides what it is told; the weights that lie beside its code among it."""
    beside = Path(inspect.getfile(type(step.method))).parent.glob("*.safetensors")
    digests = sorted(project.file_digest(file) for file in beside)
    return [step.name, step.size, weights.by_content(asdict(step.options)), digests]


def _encoding_key(encoding: Encoding | None) -> dict[str, Any] | None:
    """Segments do not know the film's name, but pictures in them bear the names that they will have."""
    if encoding is None:
        return None
    target = encoding.target
    return {**asdict(encoding), "target": target.name if encoding.kind == "pictures" else target.suffix}


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("kinochrome", "torch", "numpy", "opencv-python-headless", "av")}


def _surroundings(device: str) -> list[Any]:
    """What float results may depend on besides the input."""
    chosen = chain.chosen_device(device)
    return [_versions(), chosen, half_of_pytorch.usual(), platform.machine(), computes_in_bfloat16(chosen)]


def _check_space(plan: Plan) -> None:
    """Segments and the joined film stand side by side for a moment; both must fit, but for segments that stand."""
    frames = plan.span[1] - plan.span[0]
    samples = plan.info.width * plan.info.height * {"444": 3, "422": 2}.get(plan.encoding.subsampling, 1.5)
    lossless = plan.encoding.kind != "film" or plan.encoding.codec == "ffv1"
    bits = plan.encoding.depth * 0.5 if lossless else 0.25 if plan.encoding.codec in ("prores_ks", "dnxhd") else 0.1
    needed = int(frames * samples * bits / 8)
    begun = sum(project.size_of(plan.segment(number)) for number in range(len(plan.pieces)))
    places = {plan.job.folder: max(0, needed - begun)}
    if str(plan.job.target) != "-":
        parent = plan.job.place.absolute().parent
        disk = plan.job.folder if plan.job.folder.stat().st_dev == parent.stat().st_dev else parent
        places[disk] = places.get(disk, 0) + needed
    for place, wanted in places.items():
        free = shutil.disk_usage(place).free
        if free < wanted:
            raise VideoError(
                f"{place} has {project.bytes_in_words(free)} free; about {project.bytes_in_words(wanted)} are needed. "
                "Free some space, or put the project elsewhere with --project."
            )
