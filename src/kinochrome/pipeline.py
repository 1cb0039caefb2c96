"""The main path: plan, colour, render, join.

A piece is coloured at working size, rendered at full size into a segment, and forgotten; what its neighbours need of it
lies beside the segment. So memory does not grow with the film, and a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock
from typing import Any

import numpy as np
import torch

from . import chain, clips, color, hints, project, proposals, segments, sheet, video
from .chain import Step
from .clips import Piece
from .places import workplace
from .plan import Job, Plan, Report, check_words, prepare
from .reel import Reel
from .segments import Handover
from .threads import opencv_alone
from .types import Clip, Painted, Reference, Scribble
from .upsample import Renderer

EXPLAINED = 0.5
"""A pixel whose confidence is at least this is explained by a reference."""


@dataclass(frozen=True)
class ShotReport:
    """What became of one shot."""

    number: int
    start: int
    stop: int
    in_colour: bool
    """The source was in colour here and was left as it is."""
    references: tuple[str, ...]
    """Scribbles, too."""
    explained: float
    """The share of its pixels that the references explain, 0..1; a guess explains nothing, however sure."""
    weakest: int
    """The frame where a new reference would help most."""


@dataclass(frozen=True)
class Summary:
    """What a run did."""

    target: Path
    sheet: Path | None
    """The contact sheet of a preview."""
    frames: int
    resumed: int
    """Frames that an earlier run had finished."""
    seconds: float
    shots: tuple[ShotReport, ...]
    notes: tuple[str, ...]


def colorize(job: Job, report: Report = lambda event, data: None) -> Summary:
    """Colours a film. Whatever ends it early, the finished pieces stay and the next run goes on from them."""
    started = time.monotonic()
    check_words(job)
    # Outside a project of its own, what a run needs goes when the film stands.
    with workplace(job) as job, proposals.swept(job.folder, keep=job.project is not None), opencv_alone.held():
        plan = prepare(job, report)
        resumed = _colour_and_render(plan, report)
        report("join", {"target": str(job.target)})
        _join(plan)
        shots = tuple(_shot_reports(plan))
        _clean(plan)
    beside = job.place if job.place.name not in ("", "..") else job.place.absolute()
    shown = beside.with_name(beside.stem + ".sheet.png") if job.preview else None
    if shown:
        sheet.film_sheet(job.target, shown)
    start, stop = plan.span
    return Summary(job.target, shown, stop - start, resumed, time.monotonic() - started, shots, plan.notes)


def _one_at_a_time(report: Report) -> Report:
    """Rendering and colouring both report; whoever listens hears one after the other."""
    lock = Lock()

    def tell(event: str, data: dict[str, Any]) -> None:
        with lock:
            report(event, data)

    return tell


def _colour_and_render(plan: Plan, report: Report) -> int:
    """Every piece in order; returns how many frames were there already."""
    start, stop = plan.span
    report = _one_at_a_time(report)
    report("plan", {"frames": stop - start, "shots": len(plan.shots), "pieces": len(plan.pieces), "notes": plan.notes})
    done = _done(plan)
    with closing(Reel(plan.source, plan.info, plan.table)) as reel:
        shelf = Shelf(plan, reel, report)
        for number, piece in enumerate(plan.pieces):
            report("piece", {"shot": piece.shot + 1, "start": piece.start - start, "stop": piece.stop - start})
            if number in done:
                report("resumed", {"frames": piece.stop - piece.start})
                continue
            if plan.shots[piece.shot].colour:
                handover = Handover(explained=torch.ones(piece.stop - piece.start))
                _render(plan, number, repeat(None, piece.stop - piece.start), None, shelf, report)
            else:
                handover = _colour(plan, number, shelf, report)
            # From the last piece of a shot nobody goes on.
            if not any(piece.continues for piece in plan.pieces[number + 1 : number + 2]):
                handover = handover.slim()
            segments.write(replace(handover, films=_film_bytes(plan, number)), plan.path(number, ".safetensors"))
            _slim(plan, number)
    return sum(plan.pieces[number].stop - plan.pieces[number].start for number in done)


def _done(plan: Plan) -> set[int]:
    """The pieces that an earlier run has finished. A handover is written last and vouches for the films beside it."""
    done, slim = set(), set()
    for number in range(len(plan.pieces)):
        handover = segments.read(plan.path(number, ".safetensors"))
        if handover is not None and handover.films == _film_bytes(plan, number):
            done.add(number)
            # A shot in colour hands nothing on.
            slim |= {number} if not handover.boundary and not plan.shots[plan.pieces[number].shot].colour else set()
    for number, piece in enumerate(plan.pieces):
        # A piece that lost its film needs what the one before handed over; if that is gone, the shot begins anew.
        if number not in done and piece.continues and number - 1 in slim:
            done -= {one for one, other in enumerate(plan.pieces) if other.shot == piece.shot}
    return done


def _film_bytes(plan: Plan, number: int) -> int:
    """How large a piece's films are together; a damaged or missing one shows in it."""
    films = [plan.segment(number)] + ([plan.segment(number, confidence=True)] if plan.confidence else [])
    return sum(project.size_of(film) for film in films)


def _slim(plan: Plan, number: int) -> None:
    """Drops what nobody will ask for again, so that the project folder stays small."""
    plan.path(number, ".following.safetensors").unlink(missing_ok=True)
    if plan.pieces[number].continues:
        path = plan.path(number - 1, ".safetensors")
        handover = segments.read(path)
        if handover is not None:
            segments.write(handover.slim(), path)


class Shelf:
    """What a run keeps at hand: the film, the hints of one shot, read once, and the methods as they taught them."""

    def __init__(self, plan: Plan, reel: Reel, report: Report) -> None:
        self.plan, self.reel, self.report = plan, reel, report
        self.shot = -1
        self.pictures: dict[int, tuple[Path, clips.Fit]] = {}
        """Those that *are* a frame of the shot, by its number; read again when that is rendered."""
        self.strokes: dict[int, np.ndarray] = {}
        """By their frame."""
        self.fitted: dict[tuple[int, int], list[Reference]] = {}
        self.told: dict[tuple[int, int], tuple[Reference, ...]] = {}
        self.taught: tuple[Step, ...] = ()

    def open(self, shot: int) -> None:
        """Puts this shot's pictures on the shelf, at working sizes: all of them at full size could fill the memory."""
        if shot == self.shot:
            return
        self.shot, self.pictures, self.strokes = shot, {}, {}
        self.fitted, self.told, self.taught = {step.size: [] for step in self.plan.steps}, {}, ()
        size = self.plan.steps[0].size
        for serving in self.plan.servings[shot]:
            if serving.scribble and serving.frame is not None:
                self.strokes[serving.frame] = hints.strokes(serving.hint.picture, self.plan.source.upright_size)
                continue
            picture = video.read_picture(serving.hint.picture)
            film = None if serving.frame is None else self.reel.frame(serving.frame)
            light = None if film is None else clips.lightness(film, self.plan.info, size)
            how = clips.best_fit(picture, light, size)[0]
            if film is not None:
                self.pictures.setdefault(film.index, (serving.hint.picture, how))
            for small, references in self.fitted.items():
                references.append(clips.reference(picture, small, how, film, self.plan.info))

    def references(self, shot: int, size: tuple[int, int]) -> tuple[Reference, ...]:
        """All references of a shot at a working size, as they were given."""
        self.open(shot)
        return tuple(self.fitted[size])

    def known(self, shot: int, size: tuple[int, int]) -> tuple[Reference, ...]:
        """The references with the scribbles on them, and what scribbles tell of frames that have none."""
        references = self.references(shot, size)
        if size not in self.told:
            drawn = {frame: clips.scribble(strokes, size, frame) for frame, strokes in self.strokes.items()}
            below = tuple(clips.over(one, drawn.pop(one.frame)) if one.frame in drawn else one for one in references)
            self.told[size] = (*below, *(self._scribbled(shot, one, size) for one in drawn.values()))
        return self.told[size]

    def _scribbled(self, shot: int, scribble: Scribble, size: tuple[int, int]) -> Reference:
        frame = self.reel.frame(scribble.frame)
        stills = tuple(one for one in self.references(shot, size) if one.frame is None)
        light = clips.lightness(frame, self.plan.info, size)[None]
        return chain.scribbled(self.steps(shot)[0], Clip(scribble.frame, 0, light, stills, (scribble,)))

    def steps(self, shot: int) -> tuple[Step, ...]:
        """The methods of the chain, with --tune as the shot's references taught them."""
        self.open(shot)
        self.taught = self.taught or tuple(self._tuned(shot, step) for step in self.plan.steps)
        return self.taught

    def _tuned(self, shot: int, step: Step) -> Step:
        job = self.plan.job
        if not job.tune:
            return step

        def tell(done: int) -> None:
            self.report("tune", {"shot": shot + 1, "step": done, "steps": job.tune})

        file = self.plan.path(self.plan.first(shot), f".{step.name}.safetensors")
        tuning = chain.Tuning(job.tune, file, chain.chosen_device(job.device))
        return chain.tuned(step, self.references(shot, step.size), tuning, tell)

    def full_size(self, shot: int, frame: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """(2, H, W) ab and (1, H, W) reach of the picture that *is* this frame, if there is one."""
        self.open(shot)
        if frame not in self.pictures:
            return None
        picture, how = self.pictures[frame]
        fitted, where = clips.fit(video.read_picture(picture), self.plan.info.upright_size, how)
        if frame in self.strokes:  # there the method's colours stay
            where = where * ~clips.scribble(self.strokes[frame], where.shape, frame).where[0].numpy()
        lab = color.lab_from_rgb(torch.from_numpy(np.ascontiguousarray(fitted)).permute(2, 0, 1))
        return lab[1:], torch.from_numpy(where)[None]


def _colour(plan: Plan, number: int, shelf: Shelf, report: Report) -> Handover:
    """Colours and renders a piece, both at once; returns what it hands on."""
    piece = plan.pieces[number]
    before = segments.read(plan.path(number - 1, ".safetensors")) if number else None
    after = _bring_back(plan, number, shelf, report)
    leaving = before.tail if before is not None and not piece.continues else ()
    stacks = _lightness(piece, shelf)
    first, stop = piece.start - piece.first, piece.stop - piece.first
    painted: list[Painted] = []
    with _rendering(plan, number, stacks[plan.steps[-1].size][first:stop], shelf, report) as render:

        def take(one: Painted) -> None:
            k = len(painted)
            if k < len(leaving):
                other = clips.resized(leaving[k], plan.steps[-1].size)
                one = clips.crossfade(other, one, (k + 0.5) / len(leaving))
            painted.append(one)
            if first <= k < stop:
                render(one)

        outcome = chain.run(
            shelf.steps(piece.shot),
            _clips(piece, stacks, shelf),
            before if piece.continues else None,
            after,
            lambda share: report("coloured", {"frames": share}),
            take,
        )
    # The next piece goes on from what is shown, the next shot fades over what was said.
    return Handover(
        boundary=(*outcome.boundary(stop - 1)[:-1], painted[stop - 1]),
        carried=outcome.carried,
        tail=tuple(outcome.said[-1][stop:]),
        explained=torch.tensor(
            [float((one.confidence.cpu().numpy() >= EXPLAINED).mean()) for one in painted[first:stop]]
        ),
    )


@contextmanager
def _rendering(
    plan: Plan, number: int, lightness: torch.Tensor, shelf: Shelf, report: Report
) -> Iterator[Callable[[Painted], None]]:
    """Renders a piece in a thread of its own, of the painted frames that it is given, one by one."""
    given: SimpleQueue[Painted | None] = SimpleQueue()
    over = Event()

    def painted() -> Iterator[Painted]:
        while (one := given.get()) is not None and not over.is_set():
            yield one

    with ThreadPoolExecutor(1, "kinochrome-render") as thread:
        try:
            rendered = thread.submit(_render, plan, number, painted(), lightness, shelf, report)

            def render(one: Painted) -> None:
                if rendered.done():  # before all was given: something went wrong
                    rendered.result()
                given.put(one)

            yield render
            given.put(None)
            rendered.result()
        finally:
            # Whatever ended it early: what is left is not rendered, and for want of it the thread gives up its film.
            over.set()
            given.put(None)


def _bring_back(plan: Plan, number: int, shelf: Shelf, report: Report) -> Handover | None:
    """What the pieces after this one, run backward from a later reference, say of its last frame."""

    def run_piece(piece: Piece, after: Handover | None) -> chain.Outcome:
        report("backward", {"start": piece.first, "stop": piece.last})
        return chain.run(shelf.steps(piece.shot), _clips(piece, _lightness(piece, shelf), shelf), None, after)

    starts = chain.ways_back(plan.steps, shelf.known(plan.pieces[number].shot, plan.steps[0].size))
    kept = segments.Kept(lambda one: plan.path(one, ".following.safetensors"))
    return chain.bring_back(plan.pieces, number, starts, run_piece, kept)


def _clips(piece: Piece, stacks: dict[chain.Size, torch.Tensor], shelf: Shelf) -> Callable[[chain.Size], Clip]:
    """A piece, whose lightness is in `stacks`, as a method sees it at a working size."""

    def clip(size: chain.Size) -> Clip:
        references = clips.near(shelf.known(piece.shot, size), piece.first, piece.last)
        return Clip(piece.first, piece.overlap, stacks[size], references)

    return clip


def _lightness(piece: Piece, shelf: Shelf) -> dict[tuple[int, int], torch.Tensor]:
    """(T, 1, h, w) lightness of a piece at each working size of the chain."""
    sizes = {step.size for step in shelf.plan.steps}
    # Filled as NumPy arrays: torch would wake a thread for each of these copies, and the thread then spins for work.
    stacks = {size: np.empty((piece.last - piece.first, 1, *size), np.float32) for size in sizes}
    for n, frame in enumerate(shelf.reel.look(piece.first, piece.last)):
        for size, stack in stacks.items():
            stack[n] = clips.lightness(frame, shelf.plan.info, size).numpy()
    return {size: torch.from_numpy(stack) for size, stack in stacks.items()}


def _render(
    plan: Plan,
    number: int,
    painted: Iterable[Painted | None],
    lightness: torch.Tensor | None,
    shelf: Shelf,
    report: Report,
) -> None:
    """Writes a piece at full size: the film's own luma, and chroma from the painted frames (where None, its own)."""
    piece = plan.pieces[number]
    renderer = Renderer(plan.info, plan.encoding, plan.job.saturation)
    with ExitStack() as stack:
        writer = stack.enter_context(video.Writer(plan.segment(number), plan.info, plan.encoding, piece.start))
        grey = None
        if plan.confidence:
            path = plan.segment(number, confidence=True)
            grey = stack.enter_context(video.Writer(path, plan.info, plan.confidence, piece.start))
        frames = (shelf.reel.walk if lightness is None else shelf.reel.again)(piece.start, piece.stop)
        for n, (frame, one) in enumerate(zip(frames, painted, strict=True)):
            if one is None or lightness is None:
                planes = renderer.keep(frame)
            else:
                planes = renderer.paint(frame, one, lightness[n])
                own = shelf.full_size(piece.shot, frame.index)
                if own is not None:
                    planes = renderer.paste(frame, *own, planes)
            writer.write(frame.pts, *planes)
            if grey is not None and plan.confidence:
                shown = torch.ones(1, 1, 1) if one is None else one.confidence
                grey.write(frame.pts, renderer.grey(shown, plan.confidence.depth), None, None)
            report("rendered", {"frames": 1})


def _join(plan: Plan) -> None:
    """One film of all segments, with the source's other streams beside it."""
    whole = plan.span == (0, len(plan.table))
    span = None if whole else plan.span
    numbered = list(enumerate(plan.pieces))
    if plan.confidence:
        parts = [(plan.segment(n, confidence=True), piece.start) for n, piece in numbered]
        video.join(parts, plan.source, plan.table, plan.confidence, span)
    video.join([(plan.segment(n), piece.start) for n, piece in numbered], plan.source, plan.table, plan.encoding, span)


def _shot_reports(plan: Plan) -> Iterator[ShotReport]:
    start = plan.span[0]
    # One after another: all handovers together would fill the memory with the film's length.
    parts = (segments.read(plan.path(n, ".safetensors")) for n in range(len(plan.pieces)))
    explained = torch.cat([part.explained for part in parts if part is not None])
    for n, shot in enumerate(plan.shots):
        mine = explained[shot.start - start : shot.stop - start]
        told = shot.colour or plan.servings[n]
        yield ShotReport(
            number=plan.numbers[n],
            start=shot.start,
            stop=shot.stop,
            in_colour=shot.colour,
            references=tuple(f"{serving.hint.picture.name}: {serving.why}" for serving in plan.servings[n]),
            explained=round(float(mine.mean()), 3) if told else 0.0,
            weakest=shot.start + int(mine.argmin()),
        )


def _clean(plan: Plan) -> None:
    """Drops segments that no longer belong to this film as it is now asked for."""
    current = tuple(plan.names)
    for path in project.segment_files(plan.job.folder):
        if not path.name.startswith(current):
            project.remove(path)
