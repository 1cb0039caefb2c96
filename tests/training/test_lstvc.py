"""How LSTVC learns: its losses by hand, steps that teach, what it begins from, the paper's optimizer and weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kinochrome import weights
from kinochrome.errors import TrainingError, WeightsError
from kinochrome.methods import bistnet
from kinochrome.methods.lstvc import Lstvc, LstvcOptions
from kinochrome.methods.lstvc.network import COLOUR
from kinochrome.training import lstvc
from kinochrome.training import recipe as recipes
from kinochrome.training.data import Footage
from kinochrome.training.lstvc import Answered, Task

from . import tiny
from .tiny import batch_of, random, steps_down, stir, weighed

SMALL, PAPER = (recipes.find(f"lstvc-{variant}") for variant in ("small", "paper"))
TINY = {"levels": [8, 8, 8, 8], "high": 12, "token": 12, "feed": 16, "joined": 12, "head": 8, "drawing": [8, 8, 8]}
LESSON = {"frames": 4, "side": 64, "photos": 0.0, "worn": 0.0, "jump": 2}


def task_of(footage: Footage, path: Path = SMALL, ablation: str = "", **changes: dict[str, Any]) -> Task:
    """A shipped recipe's task on tiny clips, one example a batch; `changes` are keys by table."""
    small = {"network": TINY} if path == SMALL else {}
    # Features of bistnet fit a network of other levels only.
    trunk = {} if "levels" in changes.get("network", {}) else {"trunk": ""}
    return tiny.task_of(footage, path, ablation, small | {"lesson": LESSON | trunk}, changes)


# --- The paper's losses ---


def test_equation_10_is_the_change_along_the_motion_where_both_frames_show_the_same() -> None:
    """Colours that move two pixels a frame change nothing; in place, they change by what the eye sees."""
    wide = 40 * random(1, 2, 8, 24)
    ab = torch.stack([wide[..., 4 - 2 * k : 20 - 2 * k] for k in range(3)], 1)
    step, counter = torch.zeros(1, 2, 2, 8, 16), torch.zeros(1, 2, 2, 8, 16)
    step[:, :, 0], counter[:, :, 0] = -2, 2
    moving = Answered(ab[:, :, :1], ab, ab, [], step, counter).change()
    # The two columns that come into view have no past: the motion there leads out of the picture.
    assert float(moving) < 1e-5
    still = Answered(ab[:, :, :1], ab, ab, [], 0 * step, 0 * counter).change()
    expected = torch.stack([(ab[:, k] - ab[:, k - 1]).abs().mean() for k in (1, 2)]).mean()
    assert float(still) == pytest.approx(float(expected), rel=1e-5) and still > 5
    # Where the counter-motion does not lead back, one of both frames hides it: it does not count.
    counter[:, :, 0, :, :8] = 9
    ab[:, :, :, :, :6] += 50 * random(1, 3, 2, 8, 6)
    assert float(Answered(ab[:, :, :1], ab, ab, [], step, counter).change()) < 1e-5
    assert Answered(ab[:, :1, :1], ab[:, :1], ab[:, :1], [], step[:, :0], counter[:, :0]).change() == 0


def test_equation_8_is_the_mean_distance_of_ab(footage: Footage) -> None:
    task = task_of(footage)
    batch = batch_of(task, "first")
    answered = lstvc.rollout(task.network, batch, 2)
    expected = (answered.ab - batch["lab"][:, 1:, 1:]).abs().mean() / COLOUR
    assert float(task.terms(batch)["colour"].detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_equation_11_sums_what_the_recipe_weighs(footage: Footage) -> None:
    task = task_of(footage)
    for told in lstvc.TASKS:
        weighed(task, batch_of(task, told))


def test_the_papers_recipe_is_the_papers() -> None:
    recipe = recipes.read(PAPER)
    assert recipe.loss == {"colour": 0.5, "perceptual": 0.05, "temporal": 3.0, "adversarial": 0.2, "smooth": 4.0}
    assert recipe.critic is not None and recipe.critic.rate == 1e-3
    optimizer = recipe.optimizer
    assert (optimizer.rate, optimizer.rates) == (1e-4, {"correspondence.trunk": 1e-5})
    assert (optimizer.momentum, optimizer.decay) == ((0.5, 0.999), 1e-4)
    assert optimizer.falls == ((0.4, 0.1), (0.8, 0.01)) and recipe.run.steps == 10 * 2090
    assert (recipe.lesson["block"], recipe.lesson["frames"], recipe.lesson["still"]) == (2, 20, 0.0)


# --- Steps that teach ---


@pytest.mark.parametrize("told", lstvc.TASKS)
def test_steps_lower_the_loss_of_a_batch(footage: Footage, told: str) -> None:
    totals = steps_down(task := task_of(footage), batch_of(task, told), 10, 2e-3)
    assert totals[-1] < 0.95 * totals[0]


def test_steps_of_the_papers_sizes_lower_the_loss_of_a_batch(footage: Footage, public: dict[str, nn.Module]) -> None:
    """All five terms, and the critic's beside them; the trunk begins as the public one, and learns."""
    task = task_of(footage, PAPER, lesson={"block": 1})
    trunk = task.network.correspondence.trunk.resnet
    assert torch.equal(trunk.conv1.weight, public["resnet101"].conv1.weight)
    batch = batch_of(task, "first")
    weighed(task, batch)
    totals = steps_down(task, batch, 3, 1e-4)
    assert min(totals[1:]) < 0.99 * totals[0]
    gradients = {name: one.grad for name, one in task.network.named_parameters()}
    assert all(one is not None and bool(one.isfinite().all()) for one in gradients.values())
    assert float(gradients["correspondence.trunk.resnet.conv1.weight"].abs().max()) > 0
    paid = task.contest(batch)["total"]
    paid.backward()
    assert bool(paid.isfinite()) and any(float(one.grad.abs().max()) > 0 for one in task.critic.parameters())
    assert {*public} == {"resnet101", "vgg19", "raft_large"}


def test_public_weights_that_are_missing_are_told_before_anything_else(footage: Footage) -> None:
    with pytest.raises(WeightsError, match=r"`kinochrome weights get (vgg19|resnet101|raft_large)`"):
        task_of(footage, PAPER)


def test_all_that_is_there_learns(footage: Footage) -> None:
    task = task_of(footage, lesson={"frames": 6})
    stir(task.network)
    task.terms(batch_of(task, "first"))["total"].backward()
    lengths = {name: one.grad for name, one in task.network.named_parameters()}
    silent = {name for name, one in lengths.items() if one is None or float(one.abs().max()) < 1e-9}
    # Biases that the norm after them takes away again.
    assert {name.rsplit(".", 1)[1] for name in silent} == {"bias"}


def test_the_small_variant_sees_at_first_as_bistnet_does(footage: Footage) -> None:
    levels = list(bistnet.load(bistnet.BistnetOptions()).shape.levels)
    eyes = bistnet.load(bistnet.BistnetOptions()).eyes
    trunk = task_of(footage, network={"levels": levels}).network.correspondence.trunk
    light = random(1, 1, 64, 64) * 100
    assert all(
        torch.allclose(one, other, atol=1e-4) for one, other in zip(trunk(light), eyes(light).levels, strict=True)
    )


def test_a_resumed_run_and_one_with_weights_of_its_own_begin_with_those(tmp_path: Path) -> None:
    """They ask for nothing that a new run begins from: here a file that is gone."""
    torch.save({"model": vistr_of(12, 16)}, tmp_path / "vistr.pth")
    lesson = LESSON | {"trunk": "", "vistr": str(tmp_path / "vistr.pth")}
    job = tiny.shipped(tmp_path, SMALL, {"run": {"steps": 1}, "network": TINY, "lesson": lesson})
    tiny.run(job)
    begun = weights.read(job.folder / "last.safetensors")["correspondence.augment.1.layer.linear1.weight"]
    assert begun.mean() == pytest.approx(1, abs=0.01)
    (tmp_path / "vistr.pth").unlink()
    tiny.run(dataclasses.replace(job, resume=True))
    tiny.run(dataclasses.replace(job, folder=tmp_path / "next", start_from=job.folder / "last.safetensors"))
    with pytest.raises(TrainingError, match=r"vistr\.pth"):
        tiny.run(dataclasses.replace(job, folder=tmp_path / "new"))


def vistr_of(width: int, feed: int) -> dict[str, Tensor]:
    """Six layers of an encoder, each of its own number throughout."""
    layer = nn.TransformerEncoderLayer(width, 6, feed)
    return {
        f"vistr.transformer.encoder.layers.{number}.{name}": torch.full_like(tensor, float(number))
        for number in range(6)
        for name, tensor in layer.state_dict().items()
    }


def test_vistrs_layers_begin_the_transformer_branches(footage: Footage, tmp_path: Path) -> None:
    """The correspondence subnet has the first three, the colorization subnet the others."""
    torch.save({"model": vistr_of(12, 16)}, tmp_path / "vistr.pth")
    network = task_of(footage, lesson={"vistr": str(tmp_path / "vistr.pth")}).network
    branches = [*network.correspondence.augment, *network.colorization.think]
    for number, block in enumerate(branches):
        assert all(bool((one == number).all()) for one in block.layer.parameters())
    with pytest.raises(TrainingError, match="does not fit"):
        task_of(footage, lesson={"vistr": str(tmp_path / "vistr.pth")}, network={"feed": 20})


@pytest.mark.parametrize("name", ["", *recipes.read(SMALL).ablations])
def test_every_ablation_takes_a_step(footage: Footage, name: str) -> None:
    task = task_of(footage, ablation=name)
    task.terms(batch_of(task, "first"))["total"].backward()
    assert all(one.grad is None or bool(one.grad.isfinite().all()) for one in task.network.parameters())


def test_a_run_leaves_weights_that_the_method_runs(footage: Footage, tmp_path: Path) -> None:
    lesson = LESSON | {"photos": 0.5, "worn": 0.5, "trunk": ""}
    job = tiny.shipped(tmp_path, SMALL, {"network": TINY, "lesson": lesson})
    told = tiny.run(job)
    assert [data["step"] for event, data in told if event == "step"] == [1, 2]
    made = Lstvc(LstvcOptions(weights=str(job.folder / "last.safetensors")))
    assert made.network.shape.token == 12


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lesson": {"frames": 1}}, r"lesson\.frames = 1 must be at least 2"),
        ({"lesson": {"block": 0}}, r"lesson\.block = 0"),
        ({"lesson": {"side": 100}}, r"lesson\.side = 100 must be a multiple of 16"),
        ({"network": {"token": 20}}, r"network\.token = 20 must be a multiple of 12"),
        ({"network": {"transformer": False}}, r"network\.linkage hears"),
        ({"network": {"place": 12}}, r"network\.place = 12"),
        ({"network": {"grain": 32}}, r"network\.grain = 32"),
        ({"network": {"levels": [12, 8, 8, 8]}}, r"network\.levels = 12 must be a multiple of 8"),
        ({"network": {"levels": [8, 16, 32, 64]}}, r"lesson\.trunk = 'bistnet' takes network\.levels"),
        ({"lesson": {"still": 2.0}}, r"lesson\.still = 2"),
        ({"loss": {"edge": 1.0}}, r"\[loss\] has no edge"),
    ],
)
def test_impossible_recipes_are_named(footage: Footage, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        task_of(footage, **changes)
