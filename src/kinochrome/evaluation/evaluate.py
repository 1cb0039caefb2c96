"""Methods times clips times metrics: checks everything, scores what is not scored yet, gathers it into a table."""

from __future__ import annotations

import functools
import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from importlib.metadata import version
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

from kinochrome import __version__ as own_version
from kinochrome import chain, metrics, weights
from kinochrome.errors import MethodError
from kinochrome.metrics.motion import FLOWS, estimate_by
from kinochrome.project import digest, made_folder

from . import footage, published
from .footage import PictureClip, TrueClip
from .grey import GREYS, TEXTS, GreyName
from .protocols import Protocol, Task, protocol_of
from .rows import CopyRow, GreyRow, MethodRow, ResultsRow, Row, TruthRow, check_needs
from .score import Measures, Scored, keep, kept, metrics_of, place, score_clip
from .table import Evaluation

ALWAYS = ("psnr", "colorfulness")
"""Measured even where they are not asked for: plots, worst frames and the marking of wins need them."""

Report = Callable[[str, int, int], None]
"""Called with the clip, frames done and frames in all."""


@dataclass(frozen=True)
class Job:
    """What was asked for."""

    data: Path
    out: Path
    protocol: str
    methods: tuple[str, ...] = ()
    results: tuple[Path, ...] = ()
    metrics: tuple[str, ...] = ()
    """Of none: all there are."""
    clips: tuple[str, ...] = ()
    """Of none: all there are."""
    grey: GreyName = "lstar"
    include_exemplar: bool = False
    height: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    """METHOD.OPTION -> value."""
    flow: str = "dis"
    device: str = "cpu"
    workers: int = 1
    published: str = ""
    """The official list that `data` is, for published figures beside ours; empty: none."""


@dataclass(frozen=True)
class Work:
    """One clip and what is still to be scored on it; goes to worker processes."""

    job: Job
    clip: TrueClip
    tasks: tuple[Task, ...]
    names: tuple[str, ...]
    """Of metrics."""
    rows: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def frames(self) -> int:
        return sum(task.stop - task.start for task in self.tasks)


def evaluate(job: Job, report: Report = lambda clip, done, total: None) -> Evaluation:
    """The table of a job; what an earlier run scored under the same conditions is taken from `job.out`."""
    rules, names, absent = checked(job)
    clips = footage.find(job.data, job.clips, rules.stills)
    tasks = {clip.name: tuple(rules.tasks(len(clip))) for clip in clips}
    lengths = {clip.name: len(clip) for clip in clips}
    skipped = {
        clip.name: f"has {len(clip)} of the {rules.shortest} frames that {rules.name} needs"
        for clip in clips
        if not tasks[clip.name]
    }
    clips = [clip for clip in clips if clip.name not in skipped]
    if not clips:
        told = "; ".join(f"{clip} {why}" for clip, why in skipped.items())
        raise MethodError(f"No clip of {job.data} is long enough: {told}. Choose another protocol.")
    for clip in clips:
        footage.check_colour(clip)
        for folder in job.results:
            footage.matching(folder, clip)
    made_folder(job.out, parents=True)
    scores: dict[str, dict[str, Scored]] = {row.name: {} for row in rows_of(job, rules)}
    work = list(_open_work(job, rules, clips, tasks, names, scores))
    for one, found in _run(work, job.workers, report):
        for row, scored in found.items():
            scores[row][one.clip.name] = scored
    order = {row: {clip.name: scores[row][clip.name] for clip in clips} for row in scores}
    # Always a row, so that tables of all protocols have one shape; empty where no frame is given to copy from.
    order.setdefault("copy", {})
    order["truth"] = order.pop("truth")
    measured = [name for name in _wanted(job) if name not in absent]
    beside = published.beside(job.published, _conditions(job), measured, lengths)
    return Evaluation(rules.name, _wanted(job), absent, header(job, rules, clips), skipped, order, beside)


def _conditions(job: Job) -> str:
    """The protocol and the options that change what its figures mean, as published tables name them."""
    grey = f" --grey {job.grey}" * (job.grey != "lstar")
    return f"{job.protocol}{' --include-exemplar' * job.include_exemplar}{grey}"


def checked(job: Job) -> tuple[Protocol, tuple[str, ...], dict[str, str]]:
    """The protocol, the metrics that can be measured here, and why the others cannot; bad words are errors."""
    rules = protocol_of(job.protocol, job.include_exemplar)
    if not job.methods and not job.results:
        raise MethodError("Nothing to evaluate: name a --method, or a folder of another tool's --results.")
    if job.height is not None and not job.methods:
        raise MethodError(
            f"--height {job.height} is the working height of a --method, and none is named. Leave it out."
        )
    if job.grey not in GREYS:
        raise MethodError(f"--grey {job.grey} is unknown. Choose one of: {', '.join(GREYS)}.")
    if job.workers < 1:
        raise MethodError(f"--workers {job.workers} cannot work. Give 1 or more.")
    published.check(job.published)
    estimate_by(job.flow, chain.chosen_device(job.device))
    for names in job.methods:
        check_needs(names, rules)
    film = footage.square_film(Path("film"), 480, 854)
    for names in job.methods:
        chain.load(names, _options_of(job, names), job.device, film, job.height)
    known = {one.strip() for names in job.methods for one in names.split(",")}
    for key in job.options:
        if key.partition(".")[0] not in known:
            raise MethodError(f"--set {key}: none of the methods is called {key.partition('.')[0]!r}.")
    # A table has a row `copy` even where it is empty.
    called = [row.name for row in rows_of(job, rules)] + ["copy"] * ("reference" not in rules.gives)
    if twice := sorted({name for name in called if called.count(name) > 1}):
        raise MethodError(f"Two rows of the table would be called {twice[0]!r}. Name one only, or rename a folder.")
    chained = any("," in names for names in job.methods)
    reasons = {name: _why_absent(name, chained, rules) for name in _wanted(job)}
    absent = {name: why for name, why in reasons.items() if why}
    measured = [name for name in _wanted(job) if name not in absent]
    return rules, tuple(dict.fromkeys([*measured, *ALWAYS])), absent


def _wanted(job: Job) -> tuple[str, ...]:
    return tuple(dict.fromkeys(job.metrics)) or tuple(metrics.METRICS)


def _why_absent(name: str, chained: bool, rules: Protocol) -> str:
    """Why a metric cannot be measured here; empty where it can."""
    needs = metrics.load(name).needs
    wanted = sorted(need.removeprefix("weights:") for need in needs if need.startswith("weights:"))
    if missing := [one for one in wanted if not weights.is_here(one)]:
        return "weights missing: " + " and ".join(f"`kinochrome weights get {one}`" for one in missing)
    if name == "fade" and rules.stills:
        return "not for photographs: they do not follow each other in time"
    return "no draft: it needs methods one behind the other, --method NAME,NAME" * ("draft" in needs and not chained)


def rows_of(job: Job, rules: Protocol) -> list[Row]:
    """All rows of the table: methods, other tools' results, baselines, truth."""
    grey = GREYS[job.grey]()
    rows: list[Row] = [
        MethodRow(names, _options_of(job, names), grey, job.height, chain.chosen_device(job.device))
        for names in job.methods
    ]
    rows += [ResultsRow(folder.resolve().name, folder) for folder in job.results]
    rows.append(GreyRow(grey))
    if "reference" in rules.gives:
        rows.append(CopyRow(grey))
    return [*rows, TruthRow()]


def _options_of(job: Job, names: str) -> dict[str, str]:
    """The options that are meant for a chain's own methods."""
    own = {name.strip() for name in names.split(",")}
    return {key: value for key, value in job.options.items() if "." not in key or key.partition(".")[0] in own}


# --- What is still to do, and doing it ---


def _open_work(
    job: Job,
    rules: Protocol,
    clips: Sequence[TrueClip],
    tasks: Mapping[str, tuple[Task, ...]],
    names: tuple[str, ...],
    scores: dict[str, dict[str, Scored]],
) -> Iterator[Work]:
    """Clips with rows that are not scored yet; what is scored goes into `scores`."""
    rows = rows_of(job, rules)
    for clip in clips:
        missing, keys = [], []
        for row in rows:
            key = key_of(job, row, clip, tasks[clip.name], names)
            if found := kept(place(job.out, row.name, clip.name), key):
                scores[row.name][clip.name] = found
            else:
                missing.append(row.name)
                keys.append(key)
        if missing:
            yield Work(job, clip, tasks[clip.name], names, tuple(missing), tuple(keys))


def key_of(job: Job, row: Row, clip: TrueClip, tasks: Sequence[Task], names: Sequence[str]) -> str:
    """Of everything that a row's figures on a clip depend on."""
    words: dict[str, object] = {
        "code": code_digest(),
        "versions": [version(package) for package in ("torch", "numpy", "opencv-python-headless", "av")],
        "clip": clip.fingerprint,
        "tasks": [repr(task) for task in tasks],
        "metrics": metrics_of(row, names),
        "flow": job.flow,
        "device": chain.chosen_device(job.device),
    }
    if isinstance(row, MethodRow):
        words |= {"options": row.meant, "height": row.height}
    if isinstance(row, ResultsRow):
        words["results"] = footage.matching(row.folder, clip).fingerprint
    if not isinstance(row, TruthRow | ResultsRow):
        words["grey"] = job.grey
    return digest(words)


@functools.lru_cache(maxsize=1)
def code_digest() -> str:
    """Of this program's own files, weights among them: figures of another version are not mixed in."""
    folder = Path(__file__).parent.parent
    apart = {
        "cli.py",
        "report.py",
        "page.py",
        "table.py",
        "data_sets.py",
        "preferences.py",
        "published.py",
        "sections.py",
    }
    state = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".py", ".safetensors") and file.name not in apart:
            state.update(file.read_bytes())
    return state.hexdigest()


def _run(work: Sequence[Work], workers: int, report: Report) -> Iterator[tuple[Work, dict[str, Scored]]]:
    """Each clip's figures as they are found; also kept on disk."""
    total, done = sum(one.frames for one in work), 0

    def count(clip: str, frames: int) -> None:
        nonlocal done
        done += frames
        report(clip, done, total)

    workers = min(workers, len(work))
    if workers < 2:
        for one in work:
            yield one, score_work(one, count)
        return
    # Fresh processes: a forked one may hang on the threads of the libraries that are loaded here.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin_worker, (workers,))
    try:
        futures = {pool.submit(score_work, one): one for one in work}
        for future in as_completed(futures):
            one = futures[future]
            count(one.clip.name, one.frames)
            yield one, future.result()
    except KeyboardInterrupt:
        # Whoever stops this process alone waits for no clip either.
        for worker in active_children():
            worker.terminate()
        raise
    except BrokenProcessPool as error:
        raise MethodError(
            f"One of the {workers} processes was ended from outside, as a machine does that runs out of memory. What "
            "was scored is kept: give the same command again, with fewer --workers."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker(workers: int) -> None:
    """The cores are shared; Ctrl-C, which every process of a terminal hears, ends this one, not only its clip."""
    import cv2
    import torch

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    threads = max(1, (os.cpu_count() or 1) // workers)
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


def _end_with_parent() -> None:
    """Ends this process when the one that began it is gone: killed, it could tell nobody, and we would work on."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def score_work(work: Work, tell: Callable[[str, int], None] = lambda clip, frames: None) -> dict[str, Scored]:
    """Scores one clip and keeps what it finds. `tell` hears of frames that went by."""
    rules = protocol_of(work.job.protocol, work.job.include_exemplar)
    rows = [row for row in rows_of(work.job, rules) if row.name in work.rows]
    measures = Measures(work.names, work.job.flow, chain.chosen_device(work.job.device))
    found = score_clip(work.clip, work.tasks, rows, measures, functools.partial(tell, work.clip.name))
    for name, key in zip(work.rows, work.keys, strict=True):
        keep(place(work.job.out, name, work.clip.name), key, found[name])
    return found


def _working_height(asked: int | None, heights: Sequence[int], stills: bool) -> str:
    """What methods worked at, in words: nothing is enlarged for them."""
    if asked is None:
        return "each method's own choice"
    used = sorted({min(asked, height) for height in heights})
    if stills or len(used) > 1:
        return f"{asked} pixels, or the film's own height where that is less"
    return f"{used[0]} pixels" + f", the film's own height ({asked} were asked for)" * (used[0] < asked)


def header(job: Job, rules: Protocol, clips: Sequence[TrueClip]) -> dict[str, str]:
    """Every choice behind the figures, in words."""
    sizes = sorted({clip.size for clip in clips})
    frames = sum(len(task.scored) for clip in clips for task in rules.tasks(len(clip)))
    stills = any(isinstance(clip, PictureClip) and clip.stills for clip in clips)
    shown = ", ".join(f"{width}x{height}" for height, width in sizes[:4]) + (", …" if len(sizes) > 4 else "")
    exemplar = "scored too (--include-exemplar)" if job.include_exemplar else "not scored"
    return {
        "protocol": f"{rules.name}: {rules.text}",
        "given frames": exemplar if "reference" in rules.gives else "none",
        "data": f"{job.data.resolve().name}, {len(clips)} clips, {frames} scored frames",
        "size": f"native ({'of many sizes' if stills else shown}), never resized before scoring",
        "grey": TEXTS[job.grey],
        "rendering": "the renderer's own frames at full chroma, before encoding; colours that do not fit are made "
        f"paler at the same hue and {'lightness' if job.grey == 'lstar' else 'luma'}",
        "results of other tools": "scored as the 8- or 16-bit codes in their files" if job.results else "none",
        "working height": _working_height(job.height, [size[0] for size in sizes], stills),
        "options": ", ".join(f"{key}={value}" for key, value in job.options.items()) or "each method's defaults",
        "motion": f"{job.flow} on the true film ({FLOWS[job.flow]}); dis_quick on results, for warp_error_vcgan",
        "mean": "mean of the clips' figures; frame mean: mean over all scored frames of all clips; infinite and "
        "undefined figures are left out; FID over all clips has one figure only",
        "baselines": "grey: no colour; copy: the ab of the nearest given frame pasted in place"
        + ("" if "reference" in rules.gives else " (none: the protocol gives no frame)"),
        "software": f"kinochrome {own_version}, torch {version('torch')}, opencv {version('opencv-python-headless')}",
        "device": chain.chosen_device(job.device),
    }
