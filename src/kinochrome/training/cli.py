"""The verb `train`, and `evaluate` where it trains ablations: what they take, and what a person sees."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from kinochrome.errors import TrainingError

if TYPE_CHECKING:
    from kinochrome.evaluation.evaluate import Job as Evaluated


def train(
    recipe: Annotated[str, typer.Argument(help="A .toml file, or one that comes along: kino, bistnet-small …")],
    data: Annotated[
        list[Path], typer.Option(help="Folder, film or tar of photographs, all in true colour. May be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoints, log and pictures.")],
    dev: Annotated[
        Path | None, typer.Option(help="Clips to judge by, CLIP/FRAME.jpg or films; never learnt from.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in --out stopped.")] = False,
    from_: Annotated[Path | None, typer.Option("--from", help="Weights to begin with, not chance.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="Decoded frames are kept here, for later runs too. \\[OUT/store]")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Trains the network of a method.

    \b
    A run, judged on clips that it never learns from:
        kinochrome train kino --data films --data photos.tar --dev clips --out run
    It was stopped; it goes on as if it had not been:
        kinochrome train kino --data films --data photos.tar --dev clips --out run --resume
    On four GPUs:
        torchrun --nproc-per-node 4 -m kinochrome train kino --data films --out run
    Then:
        kinochrome colorize film.mp4 colour.mp4 --method kino --set kino.weights=run/best.safetensors

    The folder then holds log.csv (and a TensorBoard log, where that is installed), last.safetensors,
    best.safetensors, and pictures of the clips that it is judged by. Ctrl-C saves before it stops.
    """
    from kinochrome.chain import chosen_device

    from . import recipe as recipes
    from .loop import Job
    from .loop import train as run

    # Of torchrun's processes the first one speaks.
    console = Console(stderr=True, emoji=False, quiet=os.environ.get("RANK", "0") != "0")
    job = Job(
        recipe=recipes.find(recipe),
        data=tuple(data),
        folder=out,
        dev=dev,
        store=store,
        start_from=from_,
        device=chosen_device(device),
        resume=resume,
    )
    with _Line(console) as line:
        run(job, line.tell)
    console.print(f"done: {out}", highlight=False)


def ablate(job: Evaluated, recipe: str | None, data: list[Path], steps: int | None) -> None:
    """What `kinochrome evaluate --ablations` does: trains and measures every variant, and prints their table."""
    from rich.markup import escape

    from kinochrome.evaluation.cli import print_table
    from kinochrome.evaluation.table import title

    from . import ablations
    from . import recipe as recipes

    if not recipe:
        raise TrainingError("--train-data and --steps are for --ablations: name its recipe, too.")
    if not data:
        raise TrainingError("--ablations trains every variant anew: say on what with --train-data FILMS.")
    console = Console(stderr=True, emoji=False)
    study = ablations.Study(recipes.find(recipe), tuple(data), job, steps)
    with _Line(console, "stopped. Give the same command again to go on from here.") as line:
        found = ablations.run(study, line.tell)
    lines = [*found.lines()]
    columns = [("steps", [(count, False) for _, count, _ in lines])]
    columns += [(title(metric), [cells[n] for _, _, cells in lines]) for n, metric in enumerate(found.metrics)]
    Console().print(escape(found.heading), highlight=False)
    print_table([name for name, _, _ in lines], columns)
    for note in found.notes():
        console.print(escape(note), highlight=False)
    files = ablations.write(found, job.out)
    console.print(f"written: {', '.join(map(str, files))}", highlight=False, soft_wrap=True)


class _Line:
    """A progress line with the loss (its running mean) and the time left; every judgement is printed."""

    def __init__(self, console: Console, stopped: str = "") -> None:
        self.console, self.stopped, self.name = console, stopped, ""
        self.bars = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"),
            console=console, transient=True,
        )  # fmt: skip
        self.bar = self.bars.add_task("reading the data", total=None, text="")
        self.mean: float | None = None

    def __enter__(self) -> _Line:
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        self.bars.stop()
        if kind is KeyboardInterrupt:
            begun = "stopped and saved. The same command with --resume goes on from here."
            self.console.print(self.stopped or ("stopped before the first step." if self.mean is None else begun))

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Takes one event of the loop, or of a study of ablations."""
        if event == "variant":
            self.name, self.mean = f"{data['name']}: ", None
            self.bars.update(self.bar, description=f"{self.name}reading the data", total=None, text="")
            self.console.print(f"{data['number']} of {data['count']}: {data['name']}", highlight=False, markup=False)
            return
        if event == "scored":
            text = f"{data['clip']}  {data['done']}/{data['total']} frames"
            done = {"total": data["total"], "completed": data["done"], "text": text}
            self.bars.update(self.bar, description=f"{self.name}measuring", **done)
            return
        if event == "judged":
            mark = "the best so far" if data["better"] else f"best {data['best']:.2f}"
            self.console.print(f"step {data['step']}: {data['psnr']:.2f} dB, {mark}", highlight=False)
            return
        loss = next(value for name, value in data.items() if name.rpartition("/")[2] == "total")
        self.mean = loss if self.mean is None else 0.98 * self.mean + 0.02 * loss
        text = f"step {data['step']}/{data['steps']}  loss {self.mean:.4f}  {_shown(data['left'])} left"
        done = {"total": data["steps"], "completed": data["step"], "text": text}
        self.bars.update(self.bar, description=f"{self.name}training", **done)
        if not self.console.is_terminal and data["step"] % 50 == 0:
            self.console.print(text, highlight=False)


def _shown(seconds: float) -> str:
    minutes = int(seconds) // 60
    return f"{minutes // 60}:{minutes % 60:02d}:{int(seconds) % 60:02d}"
