"""The verb `train`: what it takes, and what a person sees."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


def train(
    recipe: Annotated[str, typer.Argument(help="A .toml file, or the name of a recipe that comes along: kino.")],
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


class _Line:
    """A progress line with the loss (its running mean) and the time left; every judgement is printed."""

    def __init__(self, console: Console) -> None:
        self.console = console
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
            self.console.print("stopped before the first step." if self.mean is None else begun)

    def tell(self, event: str, data: dict[str, Any]) -> None:
        """Takes one event of the loop."""
        if event == "judged":
            mark = "the best so far" if data["better"] else f"best {data['best']:.2f}"
            self.console.print(f"step {data['step']}: {data['psnr']:.2f} dB, {mark}", highlight=False)
            return
        loss = next(value for name, value in data.items() if name.rpartition("/")[2] == "total")
        self.mean = loss if self.mean is None else 0.98 * self.mean + 0.02 * loss
        text = f"step {data['step']}/{data['steps']}  loss {self.mean:.4f}  {_shown(data['left'])} left"
        self.bars.update(self.bar, description="training", total=data["steps"], completed=data["step"], text=text)
        if not self.console.is_terminal and data["step"] % 50 == 0:
            self.console.print(text, highlight=False)


def _shown(seconds: float) -> str:
    minutes = int(seconds) // 60
    return f"{minutes // 60}:{minutes % 60:02d}:{int(seconds) % 60:02d}"
