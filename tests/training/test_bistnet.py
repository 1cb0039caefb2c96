"""How BiSTNet learns: its losses by hand, steps that teach, examples, the groups that experts are taught by."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb
from torch import Tensor, nn

from kinochrome import flow, weights
from kinochrome.errors import TrainingError, WeightsError
from kinochrome.methods import bistnet as method
from kinochrome.methods.bistnet import Bistnet, BistnetOptions
from kinochrome.methods.bistnet.network import Network
from kinochrome.training import bistnet, critic, lessons, loop
from kinochrome.training import recipe as recipes
from kinochrome.training.bistnet import Answered, Task
from kinochrome.training.data import Footage
from kinochrome.types import Clip, Reference
from tests.methods.test_flow import scene

from . import tiny
from .tiny import batch_of, random, steps_down, stir, weighed

SMALL, PAPER = (recipes.find(f"bistnet-{variant}") for variant in ("small", "paper"))
TINY = {"levels": [8, 8, 8, 8], "match": 8, "gate": 8, "drawing": [8, 8], "classes": 3}
LESSON = {"frames": 3, "side": 48, "photos": 0.0, "worn": 0.0, "jump": 2}


def task_of(footage: Footage, path: Path = SMALL, ablation: str = "", **changes: dict[str, Any]) -> Task:
    """A shipped recipe's task on tiny clips, one example a batch; `changes` are keys by table."""
    small = {"network": TINY} if path == SMALL else {}
    return tiny.task_of(footage, path, ablation, small | {"lesson": LESSON}, changes)


# --- The paper's losses ---


def sobel(image: np.ndarray) -> np.ndarray:
    """Length of Sobel's gradient of (h, w), beyond whose edge the edge goes on."""
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    padded = np.pad(image, 1, mode="edge")
    found = np.zeros(image.shape)
    for y, x in np.ndindex(*image.shape):
        part = padded[y : y + 3, x : x + 3]
        found[y, x] = np.hypot((part * kernel).sum(), (part * kernel.T).sum())
    return found


def answering(monkeypatch: pytest.MonkeyPatch, light: Tensor, true: Tensor, ab: Tensor) -> None:
    """Whatever is asked, the network says this, of one frame of each clip."""
    answered = Answered(1, 1, light, true, [ab], [], [])
    monkeypatch.setattr(bistnet, "rollout", lambda *told: answered)


def test_equation_4_is_the_distance_of_sobel_lengths(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the coloured R'G'B' picture from the grey one, each channel by itself; root mean square, not a sum."""
    task = task_of(footage)
    light, true = 40 + 20 * random(2, 1, 6, 7), torch.zeros(2, 2, 6, 7)
    ab = 30 * random(2, 2, 6, 7) - 15
    answering(monkeypatch, light, true, ab)
    found = task.terms(batch_of(task, "both"))["edge"].detach()
    squares = []
    for image in range(2):
        lab = torch.cat([light[image], ab[image]]).permute(1, 2, 0).double().numpy()
        coloured, grey = lab2rgb(lab), lab2rgb(lab * [1, 0, 0])[..., 0]
        assert coloured.min() > 0 and coloured.max() < 1, "nothing is cut off"
        squares += [(sobel(coloured[..., channel]) - sobel(grey)) ** 2 for channel in range(3)]
    assert float(found) == pytest.approx(float(np.sqrt(np.mean(squares))), rel=1e-3) and found > 0.05


def test_a_grey_picture_has_no_edge_that_the_film_has_not(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(footage)
    answering(monkeypatch, 90 * random(1, 1, 6, 7), torch.zeros(1, 2, 6, 7), torch.zeros(1, 2, 6, 7))
    assert task.terms(batch_of(task, "first"))["edge"] < 1e-3


def test_equation_5_sums_what_the_recipe_weighs(footage: Footage) -> None:
    task = task_of(footage)
    for told in bistnet.TASKS:
        weighed(task, batch_of(task, told))


def test_the_papers_weights_are_the_papers() -> None:
    """2, 2 and 1 in Eq. 5, the third being Deep Exemplar's sum (Zhang and others 2019) with its weights."""
    exemplar = {"colour": 2.0, "contextual": 0.2, "perceptual": 0.001, "smooth": 5.0, "adversarial": 0.2}
    assert recipes.read(PAPER).loss == {"edge": 2.0, "hard": 2.0, "temporal": 0.02, **exemplar}


def test_colours_that_move_along_change_nothing() -> None:
    """The answer's error counts, not the picture's own change: one that moves with the picture costs nothing."""
    true = 40 * random(3, 2, 8, 16)
    error = random(1, 2, 8, 24) * 64
    moving = torch.cat([error[..., 4 - 2 * k : 20 - 2 * k] for k in range(3)])
    steps = torch.zeros(1, 4, 2, 8, 16)
    # The first frame of the clip is not answered: its motion must not be taken for that of those that are.
    steps[:, 0] = 99
    steps[:, 1:3, 0] = -2
    answered = Answered(3, 1, true[:, :1], true, [true + moving], [], [])
    # The two columns that have no past are taken from the picture's edge.
    inner = answered.change({"ahead_step": steps})
    still = answered.change({"ahead_step": 0 * steps})
    assert inner < 0.25 * still
    steady = dataclasses.replace(answered, levels=[true + error[..., :16]])
    assert steady.change({"ahead_step": 0 * steps}) < 1e-12
    assert Answered(1, 1, true[:1], true[:1], [true[:1]], [], []).change({"ahead_step": steps}) == 0


# --- Steps that teach ---


@pytest.mark.parametrize("told", bistnet.TASKS)
def test_steps_lower_the_loss_of_a_batch(footage: Footage, told: str) -> None:
    task = task_of(footage)
    totals = steps_down(task, batch_of(task, told), 8, 1e-3)
    assert totals[-1] < 0.95 * totals[0] and min(totals) == min(totals[4:])


@pytest.fixture(scope="module")
def made() -> dict[str, nn.Module]:
    """Public networks by name, each made once."""
    return {}


@pytest.fixture(scope="module")
def kept(footage: Footage) -> Task:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "find", lambda name: Path(name))
        return task_of(footage, PAPER)


def test_public_weights_that_are_missing_are_told_before_anything_else(footage: Footage) -> None:
    with pytest.raises(WeightsError, match=r"`kinochrome weights get (vgg19|hed|deeplabv3_resnet50|raft_large)`"):
        task_of(footage, PAPER)


def test_the_paper_variant_teaches_no_experts(footage: Footage, tmp_path: Path) -> None:
    text = PAPER.read_text(encoding="utf-8") + "edges = 1.0\n"
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError, match=r"\[loss\] has no edges"):
        task_of(footage, tmp_path / "mine.toml")


@pytest.fixture
def paper(kept: Task, public: dict[str, nn.Module]) -> Task:
    """The task of the paper's recipe; it is not made anew for each test."""
    return kept


def test_steps_of_the_papers_sizes_lower_the_loss_of_a_batch(paper: Task, public: dict[str, nn.Module]) -> None:
    assert paper.network.eyes is None and sum(one.numel() for one in paper.network.parameters()) == 27_902_870
    batch = batch_of(paper, "first")
    weighed(paper, batch)
    totals = steps_down(paper, batch, 3, 2e-4)
    assert totals[-1] < 0.97 * totals[0]
    gradients = {name: one.grad for name, one in paper.network.named_parameters()}
    assert all(one is not None and bool(one.isfinite().all()) for one in gradients.values())
    assert {*public} == {"vgg19", "hed", "deeplabv3_resnet50", "raft_large"}
    assert not any(one.requires_grad for network in public.values() for one in network.parameters())


@pytest.mark.parametrize("told", ["both", "still"])
def test_the_critic_learns_to_tell_answers_from_the_truth(paper: Task, told: str) -> None:
    """On pairs of frames; `both` leaves one frame of three to colour, which is shown beside itself."""
    batch = batch_of(paper, told)
    assert paper.critic is not None
    assert bool(paper.terms(batch)["total"].isfinite())
    optimizer, paid = torch.optim.AdamW(paper.critic.parameters(), lr=2e-4, betas=(0.5, 0.999)), []
    before = [one.detach().clone() for one in paper.network.parameters()]
    paper.network.zero_grad()
    for _ in range(8):
        total = paper.contest(batch)["total"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        paid.append(float(total.detach()))
    assert paid[-1] < 0.8 * paid[0]
    assert all(one.grad is None for one in paper.network.parameters()), "the critic's loss is the critic's alone"
    assert all(torch.equal(one, other) for one, other in zip(before, paper.network.parameters(), strict=True))


def test_the_critic_sees_each_frame_beside_the_next() -> None:
    frames = torch.arange(6.0)[:, None, None, None].expand(6, 3, 2, 2)
    # Three frames of two clips: 0 2 4 and 1 3 5.
    pairs = critic.paired(frames, 3)
    assert pairs.shape == (4, 6, 2, 2)
    assert pairs[:, [0, 3], 0, 0].tolist() == [[0, 2], [1, 3], [2, 4], [3, 5]]
    assert critic.paired(frames[:2], 1)[:, [0, 3], 0, 0].tolist() == [[0, 0], [1, 1]]


UNHEARD = (
    *(f"correspondence.{layer}.bias" for layer in ("key", "joined.0.first", "joined.0.second", "joined.0.norm2")),
    *(f"correspondence.branches.{level}.{layer}.bias" for level in range(4) for layer in (0, 3)),
    *(f"draw.{level}.{way}.0.0.bias" for level in range(3) for way in ("down", "up")),
)
"""Biases that the norm after them, or the centring, takes away again: no task teaches them."""


@pytest.mark.parametrize("told", bistnet.TASKS)
def test_every_task_teaches_all_that_it_uses(footage: Footage, told: str) -> None:
    """Where there is one side only, how sides meet says nothing; all else learns from every task."""
    task = task_of(footage)
    stir(task.network)
    task.terms(batch_of(task, told))["total"].backward()
    lengths = {}
    for name, one in task.network.named_parameters():
        assert one.grad is not None and bool(one.grad.isfinite().all()), name
        lengths[name] = float(one.grad.abs().max())
    # What is left of a gradient that is 0 is some 1e-6 at most.
    silent = {name for name, length in lengths.items() if length < 1e-5}
    assert silent == {*UNHEARD, *(name for name in lengths if name.startswith("meeting.") and told != "both")}


def test_a_run_leaves_weights_that_the_method_runs(footage: Footage, tmp_path: Path) -> None:
    job = tiny.shipped(tmp_path, SMALL, {"network": TINY, "lesson": LESSON | {"photos": 0.5, "worn": 0.5}})
    told = tiny.run(job)
    assert [data["step"] for event, data in told if event == "step"] == [1, 2]
    made = Bistnet(BistnetOptions(weights=str(job.folder / "last.safetensors")))
    kinds = made.network.eyes.kinds
    again, seed = Footage(job.data, tmp_path / "store"), recipes.read(job.recipe).run.seed
    assert torch.allclose(kinds, bistnet.kinds_of(again, 3, seed), atol=1e-6), "as they were"


# --- Ablations ---


@pytest.mark.parametrize("name", ["", *recipes.read(SMALL).ablations])
def test_every_ablation_takes_a_step(footage: Footage, name: str) -> None:
    task = task_of(footage, ablation=name)
    loss = {term for term, weight in task.recipe.loss.items() if weight}
    if task.network.shape.scales == 1:
        loss.discard("coarse")
    batch = batch_of(task, "both")
    terms = task.terms(batch)
    # What the experts are taught is told even where it does not count.
    assert {*terms} - {"total", "segments", "edges"} == loss - {"segments", "edges"}
    terms["total"].backward()
    gradients = [one.grad for one in task.network.parameters() if one.grad is not None]
    assert gradients and all(bool(one.isfinite().all()) for one in gradients)
    without = {kind for kind in ("segments", "edges") if not task.recipe.loss[kind]}
    drawn = {"both": set(), "segments": {"edges"}, "edges": {"segments"}, "none": {"segments", "edges"}}
    assert drawn[task.network.shape.experts] == without, "what is not drawn with is not taught"


def test_the_recipe_that_is_shipped_trains_the_network_that_is_shipped(footage: Footage) -> None:
    recipe = recipes.read(SMALL)
    task = loop.task_of(recipe, SMALL, footage)
    assert json.loads(json.dumps(task.options)) == weights.read_header(method.SHIPPED).options
    assert task.critic is None and len(task.examples(0, 1)) == recipe.run.steps  # type: ignore[attr-defined, arg-type]


# --- Examples ---


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    return one == other


def test_an_example_is_made_of_its_steps_number_alone(footage: Footage) -> None:
    def made(process: int, processes: int) -> lessons.Examples:
        return task_of(footage, lesson={"photos": 0.3, "worn": 0.5}, run={"batch": 2}).examples(process, processes)

    ones, others = made(0, 1), made(0, 1)
    for step in (5, 0):
        whole, again = ones[step], others[step]
        assert whole.keys() == again.keys() and all(same(whole[key], again[key]) for key in whole)
        assert not torch.equal(whole["lab"], ones[step + 1]["lab"])
    halves = [made(process, 2)[5] for process in range(2)]
    assert torch.equal(ones[5]["lab"], torch.cat([half["lab"] for half in halves]))


def test_what_is_told_goes_by_its_share(footage: Footage) -> None:
    examples = task_of(footage).examples(0, 1)
    told = [examples.task_of(step) for step in range(1000)]
    for name, share in bistnet.TASKS.items():
        assert told.count(name) / 1000 == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("told", bistnet.TASKS)
def test_an_example_holds_what_its_task_tells(footage: Footage, told: str) -> None:
    batch = batch_of(task_of(footage, lesson={"frames": 4}), told)
    assert batch["lab"].shape == (1, 4, 3, 48, 48) and batch["grouped"].shape == (1, 3, 24, 24)
    ways = ("ahead", "back") if told == "both" else ("ahead",)
    for name in (f"{way}_{motion}" for way in ways for motion in ("step", "way")):
        assert batch[name].shape == (1, 3, 2, 48, 48) and batch[name].isfinite().all()
    assert ("back_step" in batch) == (told == "both") and ("still" in batch) == (told == "still")
    assert batch["when"][0, 0] == 0 and bool((batch["when"].diff() > 0).all())


# --- What the experts are taught ---


def halves(*colours: tuple[float, float, float]) -> Tensor:
    """(3, 16, 24): two colours side by side."""
    left, right = (torch.tensor(one, dtype=torch.float32)[:, None, None] for one in colours)
    picture = left.repeat(1, 16, 24)
    picture[..., 12:] = right
    return picture


def test_two_flat_halves_meet_in_one_line() -> None:
    picture = halves((40, 20, 10), (70, -20, 30))
    found = bistnet.grouped(picture)
    assert found.shape == (3, 8, 12)
    assert torch.allclose(found, picture[:, ::2, ::2], atol=1), "nothing is mixed, but for 8 bit"
    line = torch.zeros(1, 1, 8, 12)
    line[..., 5] = 1
    assert torch.equal(bistnet.edges_of(found[None]), line)
    assert torch.equal(bistnet.edges_of(found.mT[None]), line.mT), "across as down"
    alike = bistnet.grouped(halves((50, 5, 5), (54, 5, 5)))
    assert not bistnet.edges_of(alike[None]).any(), "what differs by less than the eye sees at once is one thing"


def test_grain_makes_no_groups() -> None:
    picture = halves((40, 20, 10), (70, -20, 30))
    picture[0] += 2 * torch.randn(16, 24, generator=torch.Generator().manual_seed(1))
    edges = bistnet.edges_of(bistnet.grouped(picture)[None])
    assert edges[..., 5].all() and edges.sum() == 8


def test_a_place_is_of_the_nearest_kind() -> None:
    """L / 25, a / 12, b / 12 and twice the height in the frame: each place is the mean of four pixels."""
    grouped = torch.zeros(1, 3, 4, 4)
    grouped[:, 0] = 50
    grouped[:, 0, :, 2:] = 75
    grouped[:, 1, 2:, 2:] = 24
    # The places: (2, 0, 0, 1/4) (3, 0, 0, 1/4) above, (2, 0, 0, 5/4) (3, 2, 0, 5/4) below.
    assert torch.allclose(
        bistnet.features_of(grouped)[0, :, ::2, ::2].flatten(1).mT,
        torch.tensor([[2, 0, 0, 0], [3, 0, 0, 0], [2, 0, 0, 1], [3, 2, 0, 1.0]]),
    )
    kinds = torch.tensor([[2.4, 0, 0, 0.75], [3, 1.2, 0, 1.25], [2, 0, 0, 9]])
    # The second place is 0.86 from kind 0 squared and 2.44 from kind 1: lightness alone does not decide.
    assert bistnet.kind_of(grouped, kinds).tolist() == [[[0, 0], [0, 1]]]
    kinds[2, 3] = 1.3
    assert bistnet.kind_of(grouped, kinds).tolist() == [[[0, 0], [2, 1]]]


def test_kinds_are_found_anew_as_they_were(footage: Footage) -> None:
    first, again = (bistnet.kinds_of(footage, 3, 7) for _ in range(2))
    assert first.shape == (3, 4) and torch.equal(first, again) and first.isfinite().all()
    assert not torch.equal(first, bistnet.kinds_of(footage, 3, 8))
    assert torch.pdist(first).min() > 0.05, "no kind twice"
    assert bool(((first[:, 3] > 0) & (first[:, 3] < 2)).all()), "heights lie within the frame"


def test_edges_and_the_rest_count_alike() -> None:
    """One pixel of four is an edge: it weighs 2 · 3/4, each other one 2 · 1/4."""
    true = torch.tensor([1.0, 0, 0, 0]).view(1, 1, 2, 2)
    drawn = torch.zeros(1, 4, 2, 2, requires_grad=True)
    loss = bistnet.drawn_edges(drawn, true)
    assert float(loss.detach()) == pytest.approx((1.5 + 3 * 0.5) * math.log(2) / 4, rel=1e-6)
    loss.backward()
    assert drawn.grad is not None
    # Each of 16 logits: the weight times (sigmoid - truth), over their number.
    expected = torch.tensor([1.5 * -0.5, *3 * [0.5 * 0.5]]).view(1, 1, 2, 2).expand(1, 4, 2, 2) / 16
    assert torch.allclose(drawn.grad, expected), "drawn where edges are, taken away where none are"
    assert float(drawn.grad.sum()) == pytest.approx(0, abs=1e-7)
    logits = torch.tensor([2.0, -1, 0.5, 3]).view(1, 1, 2, 2)
    costs = [1.5 * math.log1p(math.exp(-2)), *(0.5 * math.log1p(math.exp(one)) for one in (-1, 0.5, 3))]
    assert float(bistnet.drawn_edges(logits, true)) == pytest.approx(sum(costs) / 4, rel=1e-6)


def test_experts_are_taught_by_the_first_frame_of_each_clip(footage: Footage) -> None:
    task = task_of(footage, run={"batch": 2})
    stir(task.network)
    batch, eyes = batch_of(task, "both"), task.network.eyes
    assert eyes is not None
    with torch.no_grad():
        terms = task.terms(batch)
        _, segments, edges = eyes.drawn(batch["lab"][:, 0, :1])
        kinds, lines = bistnet.kind_of(batch["grouped"], eyes.kinds), bistnet.edges_of(batch["grouped"])
        shares = segments.log_softmax(1).gather(1, kinds[:, None])
    assert float(terms["segments"]) == pytest.approx(-float(shares.mean()), rel=1e-4)
    assert float(terms["edges"]) == pytest.approx(float(bistnet.drawn_edges(edges, lines)), rel=1e-4)


# --- What trains is what runs ---


@pytest.mark.parametrize("told", bistnet.TASKS)
def test_what_trains_is_what_runs(footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    """With the far way never searched from rest, which each does in its own rhythm."""
    search = flow.followed
    monkeypatch.setattr(flow, "followed", lambda *words, **named: search(*words[:4], anew=False))
    task = task_of(footage)
    stir(task.network)
    # As the loop has it, and the method: sums are taken in the same order.
    task.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    lightness, ab = scene(frames=5, step=1)
    lightness, ab = lightness[..., :64, :96].contiguous(), ab[..., :64, :96].contiguous()
    other = Reference(lightness[4].flip(-1), ab[4].flip(-1), torch.ones_like(lightness[4]), None)
    ends = [dataclasses.replace(other, lightness=lightness[k], ab=ab[k], frame=k) for k in (0, 4)]
    references = {"both": ends, "first": ends[:1], "still": [other]}[told]
    batch: dict[str, Any] = {"task": told, "lab": torch.cat([lightness, ab], 1)[None], "when": torch.arange(5.0)[None]}
    for way, light in (("ahead", lightness), ("back", lightness.flip(0))):
        found = lessons.motions(flow.Motion(0), light[:, 0].numpy())
        batch |= {f"{way}_{name}": motion[None] for name, motion in found.items()}
    if told == "still":
        batch["still"] = torch.cat([other.lightness, other.ab])[None]
    eyes = task.network.eyes
    with torch.no_grad():
        looks = [eyes(lightness[k : k + 1]) for k in range(5)]
        still = eyes(batch["still"][:, :1]) if "still" in batch else None
        trained = bistnet.rollout(task.network, batch, looks, still)
    header = weights.Header("bistnet", task.options, "none", "a test", "nothing")
    weights.write(tmp_path / "net.safetensors", task.network.state_dict(), header)
    made = Bistnet(BistnetOptions(weights=str(tmp_path / "net.safetensors")))
    run = list(made.colorize(Clip(0, 0, lightness, tuple(references))))
    frames = {"both": (1, 2, 3), "first": (1, 2, 3, 4), "still": range(5)}[told]
    assert trained.count == len(frames) and trained.first == frames[0]
    for frame, trained_ab in zip(frames, trained.levels[-1], strict=True):
        assert trained_ab.norm(dim=0).mean() > 2, "or nothing would be compared"
        torch.testing.assert_close(run[frame].ab, trained_ab, rtol=0, atol=1e-3)


# --- What is refused ---


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": {"hue": 1.0}}, r"\[loss\] has no hue"),
        ({"lesson": {"frames": 2}}, r"lesson\.frames = 2 must be at least 3"),
        ({"lesson": {"side": 40}}, r"lesson\.side = 40 must be a multiple of 16, at least 32"),
        ({"network": {"drawing": []}}, r"network\.drawing = \[\] must have at least one entry"),
    ],
)
def test_what_cannot_be_learnt_from_is_named(footage: Footage, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        task_of(footage, **changes)


def test_the_network_of_a_recipe_is_a_network(footage: Footage) -> None:
    task = task_of(footage)
    assert isinstance(task.network, Network) and task.options["levels"] == (8, 8, 8, 8)
