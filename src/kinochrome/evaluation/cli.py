"""The verbs `evaluate`, `preferences` and `data check`: what they take, and what a person sees."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kinochrome.errors import MethodError

if TYPE_CHECKING:
    from .table import Evaluation

A_FLOW = "How the true film's motion is found, for warp errors: dis, dis_quick, raft_small or raft_large."
ABLATIONS_ALONE = "--method, --results, --published and --blind"


def evaluate(
    context: typer.Context,
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
    workers: Annotated[
        int | None, typer.Option(help="Clips scored at once, in processes. \\[one a core, with --method 1]")
    ] = None,
    height: Annotated[int | None, typer.Option(help="Working height in pixels. \\[the method's own choice]")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="METHOD.OPTION=VALUE")] = None,
    flow: Annotated[str, typer.Option(help=A_FLOW)] = "dis",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "cpu",
    published: Annotated[
        str | None, typer.Option(help="Print papers' figures beside ours: the clips are davis-val or videvo-test.")
    ] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Also write a page to judge results by eye, unnamed and in pairs.")
    ] = False,
    blind_with: Annotated[
        list[str] | None, typer.Option(help="Show grey, copy or truth there, too. May be repeated.")
    ] = None,
    ablations: Annotated[
        str | None, typer.Option(help="Train a recipe and its \\[ablations]; these are the rows.")
    ] = None,
    train_data: Annotated[list[Path] | None, typer.Option(help="What they learn from. May be repeated.")] = None,
    steps: Annotated[int | None, typer.Option(help="Of each training. \\[the recipe's]")] = None,
) -> None:
    """Measures methods, and what other tools made, against true colour film.

    \b
    A method:
        kinochrome evaluate --data clips --method flow --protocol first-frame --out report
    What another tool made:
        kinochrome evaluate --data clips --results other/ --protocol first-frame --out report
    What each part of a method brings, every variant trained anew:
        kinochrome evaluate --ablations my.toml --train-data films --data clips --protocol first-frame --out study

    Writes report.json, .csv, .md, .tex and .html; with --blind also blind/blind.html, whose choices
    `kinochrome preferences` counts. A run that was stopped goes on with the clip where it was.
    """
    from .evaluate import Job

    options, coloured = _pairs(set_ or []), bool(method or ablations)
    job = Job(
        data, out, protocol, tuple(method or []), tuple(results or []), tuple(metric or []), tuple(clip or []),
        grey, include_exemplar, height, options, flow, device, _at_once(workers, coloured, device), published or "",  # type: ignore[arg-type]
    )  # fmt: skip
    if ablations or train_data or steps is not None:
        if method or results or published or blind or blind_with:
            raise MethodError(f"--ablations trains the rows of its table. Leave out {ABLATIONS_ALONE}.")
        # Training lies above what is measured: the command line hands it down.
        context.obj(job, ablations, train_data or [], steps)
        return
    console = Console(stderr=True)
    if blind or blind_with:
        from .blind import check as check_blind

        check_blind(job, blind_with or ())
    found = _watched(job, console)
    _finish(found, out, console)
    if blind or blind_with:
        _write_blind(job, blind_with or (), console)


def preferences(
    folder: Annotated[Path, typer.Argument(help="What `kinochrome evaluate --blind --out` wrote.")],
    files: Annotated[list[Path], typer.Argument(help="choices-NAME.json of each person.")],
) -> None:
    """Counts what people chose on a blind page: wins, ties, and the share of wins with its 95 % interval.

    \b
        kinochrome preferences report choices-*.json

    Writes preferences.md and preferences.json into the folder.
    """
    from . import preferences as counted

    choices, people = counted.read(folder, files)
    table = Table(*counted.HEAD[:2], box=None)
    for name in counted.HEAD[2:]:
        table.add_column(name, justify="right")
    for one in [*counted.overall(choices), *counted.pairs(choices)]:
        table.add_row(*map(escape, counted.cells(one)))
    Console().print(table)
    console = Console(stderr=True)
    console.print(counted.heading(choices, people), highlight=False)
    console.print(counted.NOTE, highlight=False)
    written = counted.write(folder, choices, people)
    console.print(f"written: {escape(', '.join(map(str, written)))}", highlight=False, soft_wrap=True)


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
        table.add_row(escape(one.clip), count, f"[red]{escape('; '.join(one.faults))}[/red]" if one.faults else "fine")
    wrong = sum(bool(one.faults) for one in found)
    console = Console()
    console.print(table)
    console.print(f"{data_set(as_).text}. {f'{wrong} clips are not as they should be.' if wrong else 'All is there.'}")
    if wrong:
        raise typer.Exit(1)


def _at_once(workers: int | None, coloured: bool, device: str) -> int:
    """So many clips, as asked: what is scored alone keeps one core busy, a method all of them, and a GPU is one."""
    if workers is None:
        return 1 if coloured or device != "cpu" else os.cpu_count() or 1
    return workers


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

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}")
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task("looking", total=None, text="")

        def tell(clip: str, done: int, total: int) -> None:
            bars.update(task, description=escape(clip), completed=done, total=total, text=f"{done}/{total} frames")

        try:
            return run(job, tell)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            console.print("stopped. Give the same command again to go on from here.")
            raise


def _write_blind(job: object, anchors: Sequence[str], console: Console) -> None:
    """Writes the page that hides the methods' names, with a progress line."""
    from .blind import write

    with console.status("blind page") as status:
        path = write(
            job,  # type: ignore[arg-type]
            anchors,
            report=lambda clip, done, total: status.update(f"blind page: {done}/{total} frames, {escape(clip)}"),
        )
    console.print(f"to judge by eye, open {escape(str(path))}; give nobody key.json", highlight=False, soft_wrap=True)


def _finish(found: Evaluation, out: Path, console: Console) -> None:
    """Writes the report and prints the means, a line a metric."""
    from .report import write
    from .sections import opening
    from .table import notes, rows, title

    files = write(found, out)
    print_table([*map(title, found.metrics)], [*rows(found)])
    for note in notes(found):
        console.print(escape(note), highlight=False)
    if told := opening(found):
        console.print(f"Published figures, in the report: {escape(told)}", highlight=False)
    console.print(f"written: {escape(', '.join(map(str, files)))}", highlight=False, soft_wrap=True)


def print_table(labels: Sequence[str], columns: Sequence[tuple[str, Sequence[tuple[str, bool]]]]) -> None:
    """Labels and, beside them, named columns of (text, whether it is best); what does not fit stands below, not cut."""
    console, count = Console(), len(columns)
    while count > 1 and _width(_table(labels, columns[:count])) > console.width:
        count -= 1
    console.print(_table(labels, columns[:count]))
    if columns[count:]:
        console.print()
        print_table(labels, columns[count:])


def _table(labels: Sequence[str], columns: Sequence[tuple[str, Sequence[tuple[str, bool]]]]) -> Table:
    table = Table("", box=None)
    for name, _ in columns:
        table.add_column(escape(name), justify="right")
    for number, label in enumerate(labels):
        cells = [cells[number] for _, cells in columns]
        table.add_row(escape(label), *(f"[bold]{text}[/bold]" if best else text for text, best in cells))
    return table


def _width(table: Table) -> int:
    """Of the whole table, nothing wrapped or cut."""
    return Console(width=10**6).measure(table).maximum
