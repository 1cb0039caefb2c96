"""A run so small that a test can have many: a tiny recipe, generated footage, and what is left when it ends.

footage(tmp_path / "data")
events = run(job(tmp_path, steps=4))
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from kinochrome import video, weights
from kinochrome.training import loop
from kinochrome.training import recipe as recipes
from kinochrome.training.data import Footage
from kinochrome.training.losses.adversarial import hinge_discriminator, hinge_generator
from kinochrome.training.losses.reconstruction import l1
from kinochrome.training.recipe import Recipe
from kinochrome.types import Method
from tests.film import make_film, moving_planes

RECIPE: dict[str, dict[str, Any]] = {
    "run": {"method": "kino", "steps": 4, "batch": 2, "workers": 0, "save_every": 2, "judge_every": 2},
    "optimizer": {"rate": 2e-3, "warmup": 4},
    "network": {"widths": [8, 8, 16, 16], "key": 16},
    "lesson": {"frames": 3, "side": 64, "photos": 0.0, "worn": 0.0, "jump": 2},
    "loss": {"colour": 1.0, "square": 1.0, "recall": 0.3, "scribble": 0.3, "prior": 0.2, "confidence": 0.05},
}
TAGS = {"matrix": 1, "range": 1, "primaries": 1, "transfer": 1}


def recipe(path: Path, **changes: Any) -> Path:
    """The tiny recipe as a file, keys changed wherever they are: `recipe(path, steps=6, photos=0.5)`."""
    lines = []
    for name, table in RECIPE.items():
        lines.append(f"[{name}]")
        for key, value in table.items():
            value = changes.pop(key, value)
            lines.append(f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}")
        if name == "run":
            lines += [f"{key} = {changes.pop(key)!r}" for key in ("precision", "shard_megabytes") if key in changes]
    assert not changes, f"no table of the tiny recipe has {changes}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def footage(folder: Path, frames: tuple[int, ...] = (12,)) -> Path:
    """A folder with a coloured film of so many frames for each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, count in enumerate(frames):
        planes = moving_planes(count, (64, 80), "yuv444p", seed=number)
        make_film(folder / f"film{number}.mkv", planes, "yuv444p", tags=TAGS)
    return folder


def photographs(folder: Path, count: int = 3) -> list[np.ndarray]:
    """Pictures of noise over one colour each, as PNG; what they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    images = []
    for number in range(count):
        noise = random.integers(0, 60, (70, 90, 1), np.uint8)
        images.append((noise + random.integers(0, 190, 3, np.uint8)).astype(np.uint8))
        assert cv2.imwrite(str(folder / f"photo{number}.png"), images[-1][..., ::-1])
    return images


def clips(folder: Path) -> Path:
    """Two development clips: a film, and a folder of pictures."""
    footage(folder, (6,))
    (folder / "pictures").mkdir()
    for number, planes in enumerate(moving_planes(5, (48, 64), "yuv444p", seed=9)):
        video.write_picture(folder / "pictures" / f"{number:05d}.png", np.stack(planes, 2))
    return folder


def job(folder: Path, name: str = "run", **changes: Any) -> loop.Job:
    """A run in `folder`/`name` of the footage in `folder`/data, which is made where it is missing."""
    fields = {key: changes.pop(key) for key in ("dev", "resume", "start_from", "data") if key in changes}
    data = folder / "data"
    if not data.exists():
        footage(data)
    file = recipe(folder / f"{name}.toml", **changes)
    made = loop.Job(recipe=file, data=(data,), folder=folder / name, store=folder / "store")
    return replace(made, **fields)


def shrunk(path: Path, ablation: str, *changes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A shipped recipe's tables, one example a batch; then what is changed: keys by table."""
    tables = recipes.ablated(recipes.tables_of(path), ablation)
    for change in ({"run": {"batch": 1}}, *changes):
        for table, keys in change.items():
            tables[table] |= keys
    return tables


def task_of(footage: Footage, path: Path, ablation: str, *changes: dict[str, dict[str, Any]]) -> Any:
    """The task of those tables as a new run begins, its network the same one each time."""
    torch.manual_seed(1)
    task = loop.task_of(recipes.parse(shrunk(path, ablation, *changes), path), path, footage)
    if isinstance(task, loop.Begun):
        task.begin()
    return task


def shipped(folder: Path, path: Path, *changes: dict[str, dict[str, Any]]) -> loop.Job:
    """Two steps of a shipped recipe, changed, on footage and photographs in `folder`/data."""
    if not (folder / "data").exists():
        photographs(footage(folder / "data"))
    steps = {"run": {"steps": 2, "batch": 2, "workers": 0}}
    (folder / path.name).write_text(recipes.written(shrunk(path, "", steps, *changes)), encoding="utf-8")
    return loop.Job(folder / path.name, (folder / "data",), folder / path.stem, store=folder / "store")


def run(job: loop.Job, stop_at: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """Trains; what was told. Stopped like by Ctrl-C once a step is told of."""
    events: list[tuple[str, dict[str, Any]]] = []

    def tell(event: str, data: dict[str, Any]) -> None:
        events.append((event, data))
        if event == "step" and data["step"] == stop_at:
            raise KeyboardInterrupt

    loop.train(job, tell)
    return events


def files_of(folder: Path) -> dict[str, Any]:
    """What a run left for people. A safetensors file names what is in its header in any order, hence not its bytes."""
    kept: dict[str, Any] = {name: (folder / name).read_bytes() for name in ("log.csv", "recipe.toml")}
    for path in folder.glob("*.safetensors"):
        tensors = {name: tensor.numpy().tobytes() for name, tensor in weights.read(path).items()}
        kept[path.name] = weights.read_header(path), tensors
    return kept


def state_of(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the state, flat."""
    return dict(_flat("", loop.read_state(folder)))


def _flat(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}/{key}", inner)
    elif isinstance(value, list | tuple):
        yield from _flat(name, dict(enumerate(value)))
    elif value is not None and not isinstance(value, str):
        yield name, torch.as_tensor(value)


class Pairs(Dataset[dict[str, Any]]):
    """Random light and colours that depend on the step alone; a process's share of each batch."""

    def __init__(self, steps: int, share: slice, batch: int) -> None:
        self.steps, self.share, self.batch = steps, share, batch

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> dict[str, Any]:
        chance = torch.Generator().manual_seed(step)
        batch = torch.randn(self.batch, 3, 8, 8, generator=chance)[self.share]
        return {"light": batch[:, :1], "ab": batch[:, 1:], "names": [f"pair {step}"]}


class Duel:
    """A task of the least size that has a critic; `loop._task_of` may give it instead of a method's own."""

    def __init__(self, recipe: Recipe, path: Path, footage: Footage) -> None:
        self.run, self.options = recipe.run, {"critic": True}
        self.network: nn.Module = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, 1))
        # Its state holds more than what it learns: whatever looks moves on the vectors of the spectral norm.
        first = nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 4, 3))
        self.critic: nn.Module | None = nn.Sequential(first, nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 3))
        self.fakes = torch.zeros(0)

    @staticmethod
    def checked(recipe: Recipe, path: Path | str) -> tuple[None, None]:
        return None, None

    def examples(self, process: int, processes: int) -> Dataset[dict[str, Any]]:
        each = self.run.batch // processes
        return Pairs(self.run.steps, slice(process * each, (process + 1) * each), self.run.batch)

    def terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        assert self.critic
        found = self.network(batch["light"])
        self.fakes = found.detach()
        terms = {"colour": l1(found, batch["ab"]), "fool": hinge_generator(self.critic(found))}
        return terms | {"total": terms["colour"] + terms["fool"]}

    def contest(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        assert self.critic
        real, fake = self.critic(batch["ab"]), self.critic(self.fakes)
        return {"real": real.mean(), "total": hinge_discriminator(real, fake)}

    def method(self, file: Path, device: str) -> Method:
        raise AssertionError("it is never judged")


def random(*shape: int) -> Tensor:
    """Numbers from 0 to 1, the same ones for the same shape."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def batch_of(task: loop.Task, told: str) -> dict[str, Any]:
    """The first batch that is told this."""
    examples = task.examples(0, 1)
    return examples[next(step for step in itertools.count() if examples.task_of(step) == told)]  # type: ignore[attr-defined]


def weighed(task: Any, batch: dict[str, Any]) -> dict[str, float]:
    """The terms of a batch: those of the recipe, each of some weight, of which `total` is the sum."""
    terms = {name: float(one.detach()) for name, one in task.terms(batch).items()}
    loss, total = task.recipe.loss, terms.pop("total")
    assert terms.keys() == loss.keys() and all(weight > 0 for weight in loss.values())
    assert math.isfinite(total) and total == pytest.approx(sum(loss[name] * terms[name] for name in terms), rel=1e-5)
    return terms


def stir(network: nn.Module) -> None:
    """Layers that say nothing yet say something, so that those before them learn from the first step on."""
    chance = torch.Generator().manual_seed(2)
    for one in network.parameters():
        if not one.any():
            one.data.normal_(0, 0.02, generator=chance)


def steps_down(task: loop.Task, batch: dict[str, Any], count: int, rate: float) -> list[float]:
    """The total before each step of AdamW on the same batch, and after the last."""
    optimizer, totals = torch.optim.AdamW(task.network.parameters(), lr=rate), []
    for _ in range(count):
        total = task.terms(batch)["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total.detach()))
    with torch.no_grad():
        return [*totals, float(task.terms(batch)["total"])]
