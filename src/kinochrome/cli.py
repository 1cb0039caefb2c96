"""The command line: one function a verb. Heavy modules are imported where a verb needs them."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .errors import KinochromeError, MethodError
from .evaluation import cli as evaluation
from .methods import DEFAULT, METHODS
from .training import cli as training

EXIT_CODES = """\b
Exit codes: 0 done; 1 other errors; 2 wrong usage; 3 film or picture; 4 reference or shot list;
5 method or option; 6 weights; 7 project folder; 8 training; 130 stopped with Ctrl-C (run again to go on)."""

app = typer.Typer(
    name="kinochrome",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Turns black-and-white film into colour: full size, full bit depth, luma untouched, sound kept.\n\n"
    + EXIT_CODES,
    # `evaluate --ablations` trains, and what measures lies below what trains.
    context_settings={"help_option_names": ["-h", "--help"], "obj": training.ablate},
)
# Everything a person reads goes to stderr: stdout is for `--json`, tables, and y4m.
console = Console(stderr=True, emoji=False)


def _version(wanted: bool) -> None:
    if wanted:
        from . import __version__

        print(f"kinochrome {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say it and stop.")
    ] = False,
) -> None:
    pass


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    """`KEY=VALUE` texts as a dict."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise MethodError(f"{option} {text}: write it as KEY=VALUE.")
        pairs[key] = value
    return pairs


A_REFERENCE = (
    "A coloured picture: PICTURE@FRAME (from 0), PICTURE@HH:MM:SS or PICTURE@shot:N says where; "
    "PICTURE alone is any picture of the same things; a folder holds stills named by frame number."
)
AN_AUTO_REFERENCE = (
    "A METHOD that needs no hint, or a .toml of one: it colours a frame of each shot that has no reference."
)
A_SCRIBBLE = (
    "A still with strokes of colour on it, PICTURE@FRAME or PICTURE@HH:MM:SS, or a folder of such; for the method kino."
)
PHOTOGRAPHS = "SOURCE is a folder of them: each by itself, into the folder TARGET."
A_PROJECT = "Keep the work here. \\[TARGET.kinochrome, then removed]"
A_RATE = "Frames a second of a source that does not say it: pictures, raw streams. \\[24 for pictures]"
A_PRESET = "web, archive, h265, av1, prores, dnxhr, … \\[by the target's suffix]"


@app.command(rich_help_panel="Colour")
def colorize(
    source: Annotated[Path, typer.Argument(help="A film, a folder of pictures, one picture, or - for y4m on stdin.")],
    target: Annotated[Path, typer.Argument(help="A film, a folder or frames/%06d.png, one picture, or - (y4m).")],
    method: Annotated[
        str, typer.Option(help="NAME, or NAME,NAME: each one's output is the next one's draft.")
    ] = DEFAULT,
    reference: Annotated[list[str] | None, typer.Option(help=A_REFERENCE)] = None,
    scribble: Annotated[list[str] | None, typer.Option(help=A_SCRIBBLE)] = None,
    auto_reference: Annotated[str | None, typer.Option(metavar="METHOD", help=AN_AUTO_REFERENCE)] = None,
    shots: Annotated[Path | None, typer.Option(help="CSV or EDL of `kinochrome shots`, edited by hand.")] = None,
    project: Annotated[Path | None, typer.Option(help=A_PROJECT)] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what an earlier run has done.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing target.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    height: Annotated[int | None, typer.Option(help="Working height in pixels; more is finer and slower.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="METHOD.OPTION=VALUE; `kinochrome methods NAME` lists them.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help=A_PRESET)] = None,
    encoder: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for the encoder, for instance crf=14.")] = None,
    saturation: Annotated[float, typer.Option(help="1 leaves colours as they are.")] = 1.0,
    confidence: Annotated[Path | None, typer.Option(help="Write how sure the colours are, as a grey film.")] = None,
    deinterlace: Annotated[bool, typer.Option("--deinterlace", help="For interlaced sources.")] = False,
    rate: Annotated[str | None, typer.Option(metavar="FPS", help=A_RATE)] = None,
    recolor: Annotated[bool, typer.Option("--recolor", help="Colour also what is in colour already.")] = False,
    from_: Annotated[str | None, typer.Option("--from", help="Start here, HH:MM:SS or seconds.")] = None,
    to: Annotated[str | None, typer.Option(help="Stop here, HH:MM:SS or seconds.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Small and fast, with a contact sheet beside it.")] = False,
    photographs: Annotated[bool, typer.Option("--photographs", help=PHOTOGRAPHS)] = False,
    tune: Annotated[int, typer.Option(metavar="STEPS", help="First teach the method each shot's references.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print events, one JSON object a line.")] = False,
) -> None:
    """Colours a film.

    \b
    One coloured still, of frame 0:
        kinochrome colorize film.mp4 colour.mp4 --reference still.png@0
    One still a shot, for an archive:
        kinochrome colorize film.mkv colour.mkv --reference stills/ --preset archive
    A few strokes of colour on a still will do for kino:
        kinochrome colorize film.mp4 strokes.mp4 --method kino --scribble still.png@0
    Look first, quickly:
        kinochrome colorize film.mp4 look.mp4 --reference still.png@0 --preview

    A run that was stopped goes on where it was: give the same command again.
    """
    from .api import colorize as run
    from .progress import Progress

    with Progress(console, as_json=as_json, to_stdout=str(target) != "-") as progress:
        summary = run(
            source,
            target,
            references=reference or [],
            scribbles=scribble or [],
            auto_reference=auto_reference,
            photographs=photographs,
            report=progress.report,
            method=method,
            shots=shots,
            project=project,
            fresh=fresh,
            overwrite=overwrite,
            device=device,
            height=height,
            options=_pairs(set_ or [], "--set"),
            preset=preset,
            encoder=_pairs(encoder or [], "--encoder"),
            saturation=saturation,
            confidence=confidence,
            deinterlace=deinterlace,
            rate=rate,
            recolor=recolor,
            start=from_,
            stop=to,
            preview=preview,
            tune=tune,
        )
        progress.finish(summary)


@app.command(rich_help_panel="Colour")
def shots(
    source: Annotated[Path, typer.Argument(help="A film or a folder of pictures.")],
    out: Annotated[Path | None, typer.Option(help="Write here (.csv or .edl) instead of printing CSV.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing list.")] = False,
    deinterlace: Annotated[bool, typer.Option("--deinterlace", help="For interlaced sources.")] = False,
    rate: Annotated[str | None, typer.Option(metavar="FPS", help=A_RATE)] = None,
) -> None:
    """Lists the shots of a film, to be edited by hand and given back with --shots.

    \b
        kinochrome shots film.mp4 --out shots.csv
        kinochrome colorize film.mp4 colour.mp4 --shots shots.csv --reference stills/
    """
    from .project import check_free
    from .shots import shots_csv, write_shots

    if out:
        check_free(out, overwrite)
    info = _probed(source, deinterlace, rate)
    table, finder = _looked_at(info)
    found = finder.shots()
    if out:
        write_shots(found, table, info, out)
        console.print(f"{len(found)} shot{'s' if len(found) > 1 else ''} written to {out}", markup=False)
    else:
        print(shots_csv(found, table, info), end="")


def _probed(source: Path, deinterlace: bool, rate: str | None = None) -> Any:
    from . import places, video
    from .api import frame_rate

    places.check_named("source", source)
    return video.probe(source, deinterlace, frame_rate(rate))


def _looked_at(info: Any) -> tuple[Any, Any]:
    """Where a film's frames lie, and what the shot finder saw, from one pass with a progress line."""
    from . import video
    from .progress import Progress
    from .shots import ShotFinder

    finder = ShotFinder(info)
    with Progress(console) as progress:

        def see(frame: Any) -> None:
            finder.see(frame)
            progress.report("scan", {"frame": frame.index + 1})

        return video.scan(info, see), finder


@app.command(rich_help_panel="Colour")
def stills(
    source: Annotated[Path, typer.Argument(help="A film or a folder of pictures.")],
    folder: Annotated[Path, typer.Argument(help="The pictures go here, named by frame number.")],
    frames: Annotated[
        list[int] | None, typer.Argument(help="These frames. \\[the middle one of each shot; with --colour its best]")
    ] = None,
    colour: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="Colour them, by a method that needs no hint, or a .toml of one."),
    ] = None,
    proposals: Annotated[
        int, typer.Option(metavar="COUNT", help="So many guesses a still, to choose from, in FOLDER/proposals.")
    ] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="METHOD.OPTION=VALUE of the one that colours.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace stills and proposals, painted ones too.")
    ] = False,
    deinterlace: Annotated[bool, typer.Option("--deinterlace", help="For interlaced sources.")] = False,
) -> None:
    """Saves frames as pictures, to be coloured in any paint program and given back as references.

    \b
        kinochrome stills film.mp4 grey
        kinochrome stills film.mp4 grey 0 12
    Once they are painted, and saved in a folder of their own:
        kinochrome colorize film.mp4 colour.mp4 --reference stills/
    Coloured by a method that needs no hint, to be looked at and corrected:
        kinochrome stills film.mp4 guesses --colour kino
    """
    from . import proposals as automatic
    from . import sheet

    if (proposals or set_) and not colour:
        raise MethodError("--proposals and --set say how stills are coloured. Say by what, too: --colour kino")
    info = _probed(source, deinterlace)
    wanted = automatic.Wanted(colour or "", _pairs(set_ or [], "--set"), device, option="--colour")
    painters = automatic.painters(wanted, info, proposals) if colour else []
    table, finder = _looked_at(info)
    if painters:
        film = automatic.Film(info, table, finder.thumbnails)
        chosen = frames or automatic.best_frames(film, finder.shots())
        written = automatic.write(painters, film, chosen, folder, overwrite)
    else:
        chosen = frames or [(shot.start + shot.stop) // 2 for shot in finder.shots()]
        written = sheet.stills(info, table, chosen, folder, overwrite=overwrite)
    for path in written:
        print(path)


@app.command(rich_help_panel="Look around")
def methods(name: Annotated[str | None, typer.Argument(help="Tell all about this one.")] = None) -> None:
    """Lists the methods, or tells what one does and which options it has.

    \b
        kinochrome methods
        kinochrome methods flow
    """
    from .describe import method_text

    if name is None:
        table = Table("method", "what it is", box=None)
        for known, line in METHODS.items():
            table.add_row(known, line)
        Console().print(table)
    else:
        print(method_text(name))


def _group(name: str, text: str, alone: bool = False) -> typer.Typer:
    """Verbs under a word of their own: `kinochrome NAME VERB`; `alone`: the word itself does something, too."""
    group = typer.Typer(no_args_is_help=not alone, invoke_without_command=alone, rich_markup_mode="rich")
    app.add_typer(group, name=name, help=text, rich_help_panel="Measure")
    return group


weights_group = _group("weights", "Lists public network weights that some metrics need, and fetches them.", alone=True)


@weights_group.callback()
def weights(context: typer.Context) -> None:
    """Lists public network weights: what they are for, their licence and size, and whether they are here.

    Nothing is downloaded unasked: `kinochrome weights get NAME` does it, and checks what came.
    """
    if context.invoked_subcommand is not None:
        return
    from . import weights as store

    table = Table("name", "here", "size", "licence", "what for", box=None)
    for name, line in store.CATALOGUE.items():
        table.add_row(name, "yes" if store.is_here(name) else "-", line.shown_size, line.licence, line.purpose)
    Console().print(table)
    print(f"They are kept in {store.folder()}.")


@weights_group.command("get")
def get_weights(names: Annotated[list[str], typer.Argument(help="Names that `kinochrome weights` lists.")]) -> None:
    """Downloads public weights and checks their size and hash; a broken download goes on where it stopped."""
    from rich.progress import Progress as Bars

    from . import weights as store

    for name in names:
        with Bars(console=console, transient=True) as bars:
            task = bars.add_task(name, total=None)

            def tell(here: int, total: int | None, bars: Bars = bars, task: Any = task) -> None:
                bars.update(task, completed=here, total=total)

            path = store.get(name, tell)
        console.print(f"{name}: {path}", highlight=False, markup=False)


@app.command(rich_help_panel="Look around")
def demo(folder: Annotated[Path, typer.Argument(help="What it makes goes here.")] = Path("demo")) -> None:
    """Shows it all at once: renders a film of its own, takes the colour away, and gives it back."""
    from .demo import run

    run(folder, console)


@app.command(rich_help_panel="Look around")
def doctor() -> None:
    """Checks this machine: versions, devices, encoders, free space. Ends with 1 if something is missing."""
    from .doctor import examine

    table = Table("what", "here", box=None)
    complete = True
    for finding in examine():
        complete &= finding.fine
        table.add_row(finding.what, finding.here if finding.fine else f"[red]{finding.here}[/red]")
    Console().print(table)
    if not complete:
        raise typer.Exit(1)


evaluate = app.command(rich_help_panel="Measure")(evaluation.evaluate)
preferences = app.command(rich_help_panel="Measure")(evaluation.preferences)
train = app.command(rich_help_panel="Train")(training.train)
data_check = _group("data", "Looks at data sets to measure on.").command("check")(evaluation.check)


def main() -> None:
    """What the `kinochrome` command runs. Errors are told in a sentence; KINOCHROME_DEBUG=1 shows where they arose."""
    # Between torch's small steps its idle threads would spin, and take the cores from decoder and encoder.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # A service that is stopped ends like one that a person stops.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except KinochromeError as error:
        if os.environ.get("KINOCHROME_DEBUG"):
            raise
        if "--json" in sys.argv:
            print(json.dumps({"event": "error", "kind": type(error).__name__, "text": str(error)}), file=sys.stderr)
        else:
            console.print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
