"""The verbs `evaluate` and `data check`: what they take, and what a person sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kinochrome.errors import MethodError

if TYPE_CHECKING:
    from .table import Evaluation


def evaluate(
    data: Annotated[Path, typer.Option(help="The true clips: CLIP/FRAME.jpg (or .png), or films.")],
    protocol: Annotated[
        str,
        typer.Option(help="first-frame, first-and-last, bistnet-90, every-N, automatic, scribbles or still."),
    ],
    out: Annotated[Path, typer.Option(help="The report goes here, and figures to go on from.")],
    method: Annotated[
        list[str] | None, typer.Option(help="NAME, or NAME,NAME for one behind the other. May be repeated.")
    ] = None,
    results: Annotated[
        list[Path] | None, typer.Option(help="Colour frames of another tool, named as the true ones. May be repeated.")
    ] = None,
    metric: Annotated[list[str] | None, typer.Option(help="May be repeated. \\[all there are]")] = None,
    clip: Annotated[list[str] | None, typer.Option(help="May be repeated. \\[all there are]")] = None,
    grey: Annotated[
        str, typer.Option(help="The film is the truth's float L* (lstar, as papers do) or its 8-bit Y' (luma).")
    ] = "lstar",
    include_exemplar: Annotated[
        bool, typer.Option("--include-exemplar", help="Score given frames too, as some scripts do.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Clips that are scored at once, each in a process.")] = 1,
    height: Annotated[int | None, typer.Option(help="Working height in pixels. \\[the method's own choice]")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="METHOD.OPTION=VALUE")] = None,
    flow: Annotated[str, typer.Option(help="How the true film's motion is found, for warp errors.")] = "dis",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "cpu",
) -> None:
    """Measures methods, and what other tools made, against true colour film.

    \b
    A method:
        kinochrome evaluate --data clips --method flow --protocol first-frame --out report
    What another tool made:
        kinochrome evaluate --data clips --results other/ --protocol first-frame --out report

    Writes report.json, .csv, .md, .tex and .html. A run that was stopped goes on with the clip where it was.
    """
    from .evaluate import Job
    from .grey import GREYS

    if grey not in GREYS:
        raise MethodError(f"--grey {grey} is unknown. Choose one of: {', '.join(GREYS)}.")
    if height is not None and height < 16:
        raise MethodError(f"--height {height} is too small to see anything. Give 16 or more; 240 is usual.")
    job = Job(
        data,
        out,
        protocol,
        tuple(method or []),
        tuple(results or []),
        tuple(metric or []),
        tuple(clip or []),
        grey,  # type: ignore[arg-type]
        include_exemplar,
        height,
        _pairs(set_ or []),
        flow,
        device,
        workers,
    )
    console = Console(stderr=True)
    found = _watched(job, console)
    _finish(found, out, console)


def check(
    folder: Annotated[Path, typer.Argument(help="Holds CLIP/FRAME.jpg.")],
    as_: Annotated[str, typer.Option("--as", help="davis-val, davis-train or videvo-test.")],
) -> None:
    """Says which clips and frames of an official list are there, missing or in the wrong size. Ends with 1 if any is.

    \b
        kinochrome data check DAVIS/JPEGImages/480p --as davis-val
    """
    from .data_sets import check as find
    from .data_sets import data_set

    found = find(folder, as_)
    table = Table("clip", "frames", "", box=None)
    for one in found:
        count = str(one.frames) if one.wanted is None else f"{one.frames} of {one.wanted}"
        table.add_row(one.clip, count, f"[red]{escape('; '.join(one.faults))}[/red]" if one.faults else "fine")
    wrong = sum(bool(one.faults) for one in found)
    console = Console()
    console.print(table)
    console.print(f"{data_set(as_).text}. {f'{wrong} clips are not as they should be.' if wrong else 'All is there.'}")
    if wrong:
        raise typer.Exit(1)


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or "." not in key:
            raise MethodError(f"--set {text}: write it as METHOD.OPTION=VALUE.")
        pairs[key] = value
    return pairs


def _watched(job: object, console: Console) -> Evaluation:
    """Evaluates with a progress line."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from .evaluate import evaluate as run

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} frames")
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task("looking", total=None)
        try:
            return run(job, lambda clip, done, total: bars.update(task, description=clip, completed=done, total=total))  # type: ignore[arg-type]
        except KeyboardInterrupt:
            console.print("stopped. Give the same command again to go on from here.")
            raise


def _finish(found: Evaluation, out: Path, console: Console) -> None:
    """Writes the report and prints the means, a line a metric."""
    from .report import write
    from .table import notes, rows, title

    files = write(found, out)
    table = Table("", box=None)
    lines = list(rows(found))
    for name, _ in lines:
        table.add_column(name, justify="right")
    for number, metric in enumerate(found.metrics):
        cells = [cells[number] for _, cells in lines]
        table.add_row(title(metric), *(f"[bold]{text}[/bold]" if best else text for text, best in cells))
    Console().print(table)
    for note in notes(found):
        console.print(escape(note), highlight=False)
    console.print(f"written: {', '.join(str(file) for file in files)}", highlight=False, soft_wrap=True)
