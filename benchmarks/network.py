"""What a recipe's network costs: weights, arithmetic, time and memory a frame, whether it was ever trained or not.

    python benchmarks/network.py bistnet-small
    python benchmarks/network.py bistnet-paper --size 448x224 --frames 4 --device cuda

The network is built as the recipe says, with numbers by chance, and so are public networks that are not in the weights'
folder: cost does not depend on the numbers. It colours a drawn clip between two references in a process of its own,
whose peak resident memory the system tells. Memory is what comes on top of the same process before the network.
"""

from __future__ import annotations

import importlib
import multiprocessing
import resource
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from unittest import mock

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from kinochrome import methods, weights
from kinochrome.chain import chosen_device
from kinochrome.training import recipe as recipes
from kinochrome.training.recipe import build
from kinochrome.types import Clip, Method, Reference


def by_chance(recipe: str, device: str, folder: Path) -> tuple[Method, int]:
    """The recipe's method with an untrained network, and how many numbers would be trained."""
    found = recipes.read(recipes.find(recipe))
    name = found.run.method
    module = importlib.import_module(f"kinochrome.methods.{name}.network")
    shape = build(module.Shape, found.network, Path(recipe), "network")
    network = module.Network(shape)
    file = folder / "untrained.safetensors"
    weights.write(file, network.state_dict(), weights.Header(name, asdict(shape), "none", "untrained", "none"))
    known = {field.name for field in fields(methods.load(name).Options)}
    variant = {"variant": shape.variant} if "variant" in known else {}
    options = methods.parse_options(name, {"weights": str(file)} | variant)
    loaded = weights.load

    def load(make: Any, source: str | Path, *rest: Any) -> Any:
        here = isinstance(source, Path) or weights.is_here(source)
        return loaded(make, source, *rest) if here else make().eval().requires_grad_(False).to(device)

    with mock.patch.object(weights, "load", load):
        return methods.load(name)(options, device), sum(tensor.numel() for tensor in network.parameters())


def drawn(frames: int, height: int, width: int) -> Clip:
    """A sliding pattern, its first and last frame in colour."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    light = torch.stack([50 + 40 * torch.sin((x + 3 * n) / 9) * torch.cos(y / 7) for n in range(frames)])[:, None]
    ab = 40 * torch.stack([torch.sin(x / 30), torch.cos(y / 20)])
    known = tuple(Reference(light[n], ab, torch.ones_like(light[n]), n) for n in (0, frames - 1))
    return Clip(0, 0, light, known)


def measure(recipe: str, size: tuple[int, int], frames: int, device: str) -> dict[str, float]:
    """Figures of one recipe, in this very process."""
    with TemporaryDirectory() as folder:
        base = _peak(device)
        method, trained = by_chance(recipe, device, Path(folder))
        clip = drawn(frames, *size)
        # Once to warm up.
        list(method.colorize(clip))
        began = time.perf_counter()
        list(method.colorize(clip))
        seconds = time.perf_counter() - began
        peak = _peak(device)
        with FlopCounterMode(display=False) as counter:
            list(method.colorize(clip))
    macs = counter.get_total_flops() / 2 / frames
    return {"trained": trained, "macs": macs, "seconds": seconds / frames, "memory": peak - base}


def _peak(device: str) -> float:
    """Bytes: of the GPU's memory there, else of this process's."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(
    recipe: Annotated[list[str], typer.Argument(help="Names of recipes that come along, or .toml files.")],
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT that the network works at.")] = "448x224",
    frames: Annotated[int, typer.Option(help="Of the clip; the first and the last are given.", min=3)] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Prints the table."""
    width, height = map(int, size.split("x"))
    table = Table("recipe", box=None)
    for name in ("weights", "GMAC a frame", "ms a frame", "MB"):
        table.add_column(name, justify="right")
    context = multiprocessing.get_context("spawn")
    for one in recipe:
        with context.Pool(1) as pool:
            found = pool.apply(measure, (one, (height, width), frames, chosen_device(device)))
        figures = f"{found['macs'] / 1e9:.2f}", f"{found['seconds'] * 1000:.0f}", f"{found['memory'] / 1e6:.0f}"
        table.add_row(one, f"{found['trained']:,}", *figures)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
