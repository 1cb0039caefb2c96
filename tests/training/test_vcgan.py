"""How VCGAN learns: its losses by hand, photographs and clips, steps that teach, the paper's two stages."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kinochrome import flow
from kinochrome.errors import TrainingError, WeightsError
from kinochrome.methods.vcgan import Vcgan, VcganOptions
from kinochrome.methods.vcgan.network import COLOUR, still
from kinochrome.nets.warp import warp
from kinochrome.training import loop, vcgan
from kinochrome.training import recipe as recipes
from kinochrome.training.data import Footage
from kinochrome.training.losses import gamut_bins
from kinochrome.training.losses.quantised import nearest
from kinochrome.training.vcgan import Answered, Task

from . import tiny
from .tiny import random, steps_down, stir, weighed

STAGE1, STAGE2 = (recipes.find(f"vcgan-small-stage{number}") for number in (1, 2))
PAPER1, PAPER256, PAPER480 = (recipes.find(f"vcgan-paper-{stage}") for stage in ("stage1", "stage2-256", "stage2-480"))
TINY = {"drawing": [4, 8, 8, 8, 16], "stem": 4, "stages": [2, 2, 4], "blocks": [1, 1, 1], "features": 8}
LESSON = {"side": 64, "worn": 0.0}


def task_of(footage: Footage, path: Path, ablation: str = "", **changes: dict[str, Any]) -> Task:
    """A shipped recipe's task on tiny clips, one example a batch; `changes` are keys by table."""
    small = {"network": TINY} if path in (STAGE1, STAGE2) else {}
    return tiny.task_of(footage, path, ablation, small | {"lesson": LESSON}, changes)


def batch_of(task: Task) -> dict[str, Any]:
    return task.examples(0, 1)[0]


def value(number: Tensor) -> float:
    return float(number.detach())


# --- The paper's losses ---


def clip(count: int) -> dict[str, Tensor]:
    """A batch of two clips of noise, with motions that lead somewhere else for each pair of frames."""
    pairs = len(vcgan.pairs_of(count))
    return {
        "lab": torch.cat([100 * random(2, count, 1, 8, 12), 60 * random(2, count, 2, 8, 12) - 30], 2),
        "clean": 40 + 20 * random(2, count, 1, 8, 12),
        "motion": 4 * random(2, pairs, 2, 8, 12) - 2,
    }


def answering(monkeypatch: pytest.MonkeyPatch, batch: dict[str, Tensor], ab: Tensor) -> None:
    """Whatever is asked, the network says this, (B, T, 2, h, w)."""
    lab = batch["lab"]
    parts = [[*one.unbind(1)] for one in (lab[:, :, :1], lab[:, :, 1:], ab)]
    answered = Answered(*parts, [], vcgan._links(batch, 50.0))
    monkeypatch.setattr(vcgan, "rollout", lambda *told: answered)


def test_equations_11_to_13_join_frames_where_both_show_the_same(footage, monkeypatch) -> None:
    """Of five frames: 4 pairs of neighbours, the other 6; each with exp(-50 d^2), d of lightness from -1 to 1."""
    batch, ab = clip(5), 40 * random(2, 5, 2, 8, 12)
    motions = dict(zip(vcgan.pairs_of(5), batch["motion"].unbind(1), strict=True))
    clean = batch["clean"] / 50 - 1

    def change(later: int, earlier: int) -> float:
        motion = motions[later, earlier]
        mask = torch.exp(-50 * (clean[:, later] - warp(clean[:, earlier], motion)).square())
        assert 0.01 < float(mask.mean()) < 0.9 and mask.max() > 0.95
        difference = (ab[:, later] - warp(ab[:, earlier], motion)).abs() / COLOUR
        return float((mask * difference).sum() / (2 * mask.sum()))

    short = [change(t, t - 1) for t in range(1, 5)]
    dense = [change(t, m) for t in range(2, 5) for m in range(t - 1)]
    long = [change(t, 0) for t in range(1, 5)]
    assert (len(short), len(dense)) == (4, 6)
    task = task_of(footage, STAGE2, loss={"long": 1.0, "classes": 0.0, "adversarial": 0.0})
    answering(monkeypatch, batch, ab)
    terms = task.terms(batch)
    for name, pairs in (("short", short), ("dense", dense), ("long", long)):
        assert value(terms[name]) == pytest.approx(sum(pairs) / len(pairs), rel=1e-4)


def test_what_is_hidden_does_not_count(footage, monkeypatch) -> None:
    """Where light differs by half its range, colours may change as they will."""
    batch, task = clip(3), task_of(footage, STAGE2, loss={"classes": 0.0, "adversarial": 0.0})
    batch["motion"] = 0 * batch["motion"]
    batch["clean"] = torch.full_like(batch["clean"], 40.0)
    ab = 40 * random(2, 1, 2, 8, 12).expand(2, 3, 2, 8, 12).clone()
    ab[:, 1, :, :, :6] += 50
    for light, expected in ((40.0, 25 / COLOUR), (90.0, 0.0)):
        batch["clean"][:, 1, :, :, :6] = light
        answering(monkeypatch, batch, ab)
        assert value(task.terms(batch)["short"]) == pytest.approx(expected, abs=1e-6)


def test_equations_9_and_10_are_the_critics_scores(footage) -> None:
    """Of lightness and ab, a frame a time, all frames of the batch."""
    task = task_of(footage, STAGE2, lesson={"critic": 8})
    batch = batch_of(task)
    critic = task.critic
    assert critic is not None
    critic.eval()  # Spectral normalisation moves with every look otherwise.
    answered = vcgan.rollout(task.network, batch, 50.0)
    shown = [
        torch.cat(
            [torch.cat([light / 50 - 1, one / 50], 1) for light, one in zip(answered.light, colours, strict=True)]
        )
        for colours in (answered.true, answered.ab)
    ]
    true, ours = (critic(pictures).mean().detach() for pictures in shown)
    assert value(task.terms(batch)["adversarial"]) == pytest.approx(-float(ours), rel=1e-3, abs=1e-5)
    assert value(task.contest(batch)["total"]) == pytest.approx(float(ours - true), rel=1e-3, abs=1e-5)
    assert len(shown[0]) == 5


def test_equation_8_sums_what_the_recipe_weighs(footage) -> None:
    for path in (STAGE1, STAGE2):
        task = task_of(footage, path)
        weighed(task, batch_of(task))


def test_classes_of_colour_are_weighed_by_rarity(footage) -> None:
    """Each place of 4 x 4 pixels, its mean colour shared out among the five nearest bins, counts by its nearest one."""
    task = task_of(footage, STAGE1)
    batch, bins = batch_of(task), gamut_bins()
    with torch.no_grad():
        (scores,) = vcgan.rollout(task.network, batch, 50.0).scores
        expected = []
        for y, x in ((0, 0), (7, 3), (15, 15)):
            place = batch["lab"][0, 0, 1:, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].mean((1, 2))
            distance, index = nearest(place[None, :, None, None], bins, 5)
            shares = (-distance.flatten().square() / 50).softmax(0)
            assert task.rarities is not None
            loss = -(shares * scores[0, :, y, x].log_softmax(0)[index.flatten()]).sum()
            expected.append(float(loss * task.rarities[index.flatten()[0]]))
        truth = vcgan.soft_encoding(torch.nn.functional.avg_pool2d(batch["lab"][:, 0, 1:], 4), bins)
        found = [
            vcgan.cross_entropy(scores[..., y, x, None, None], truth[..., y, x, None, None], task.rarities)
            for y, x in ((0, 0), (7, 3), (15, 15))
        ]
        assert [float(one) for one in found] == pytest.approx(expected, rel=1e-3)
        whole = float(vcgan.cross_entropy(scores, truth, task.rarities))
        assert value(task.terms(batch)["classes"]) == pytest.approx(whole, rel=1e-4)
    even = task_of(footage, STAGE1, lesson={"mix": 1.0}).rarities
    assert even is not None and torch.allclose(even, torch.ones(261)) and task.rarities.max() > 2


# --- The two stages ---


def test_the_papers_recipes_are_the_papers() -> None:
    first, second, third = (recipes.read(path) for path in (PAPER1, PAPER256, PAPER480))
    assert first.loss == {"colour": 10.0, "perceptual": 5.0}
    assert second.loss == third.loss == {**first.loss, "adversarial": 1.0, "short": 3.0, "dense": 5.0}
    assert (first.run.batch, second.run.batch, third.run.batch) == (16, 4, 4)
    assert (first.lesson["side"], second.lesson["side"], third.lesson["side"]) == (256, 256, 480)
    assert (first.lesson["frames"], second.lesson["frames"], third.lesson["frames"]) == (1, 5, 5)
    assert first.network == second.network == third.network, "each begins with the weights of the one before"
    for recipe in (first, second, third):
        assert recipe.optimizer.momentum == (0.5, 0.999)
    for recipe in (second, third):
        assert recipe.critic is not None and recipe.critic.rate == recipe.optimizer.rate == 5e-5
    shares = [loop.share_of_rate(first.optimizer, step, 20) for step in (0, 9, 10, 19)]
    assert first.optimizer.rate == 2e-4 and shares == [1, 1, 0.5, 0.5]
    assert {loop.share_of_rate(second.optimizer, step, 500) for step in range(500)} == {1.0}
    steps = [loop.share_of_rate(third.optimizer, step, 500) for step in (0, 99, 100, 200, 300, 400, 499)]
    assert steps == [1, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16]


def test_both_stages_of_the_small_variant_train_one_network() -> None:
    first, second = (recipes.read(path) for path in (STAGE1, STAGE2))
    assert first.network == second.network and first.lesson["frames"] == 1 and second.lesson["frames"] == 5


def test_the_first_stage_sees_photographs_as_they_are(footage) -> None:
    """Of one colour each, under noise of lightness: nothing of another one is in them."""
    task = task_of(footage, STAGE1, lesson={"photos": 1.0}, run={"batch": 6})
    batch = batch_of(task)
    assert batch["lab"].shape == (6, 1, 3, 64, 64) and "motion" not in batch
    assert all("photo" in name for name in batch["names"])
    assert (batch["lab"][:, 0, 1:].flatten(2).std(2) < 8).all() and (batch["lab"][:, 0, 0].std() > 3).all()


def test_the_first_stage_sees_frames_of_films_too(footage) -> None:
    task = task_of(footage, STAGE1, lesson={"photos": 0.0, "worn": 1.0}, run={"batch": 2})
    batch = batch_of(task)
    assert batch["lab"].shape == (2, 1, 3, 64, 64) and all("film" in name for name in batch["names"])


def test_a_sample_knows_the_motion_between_all_frames(footage) -> None:
    task = task_of(footage, STAGE2, lesson={"photos": 0.0, "worn": 1.0})
    batch = batch_of(task)
    assert batch["motion"].shape == (1, 10, 2, 64, 64)
    assert vcgan.pairs_of(5) == [(1, 0), (2, 1), (3, 2), (4, 3), (2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (4, 2)]
    pictures = [flow.visible(light) for light in batch["clean"][0, :, 0].numpy()]
    for number, (later, earlier) in enumerate(vcgan.pairs_of(5)):
        motion = flow.Motion(0).between(pictures[later], pictures[earlier])
        assert torch.equal(batch["motion"][0, number], torch.from_numpy(motion).permute(2, 0, 1))
    assert not torch.equal(batch["clean"], batch["lab"][:, :, :1]), "a worn film is not what the mask sees"


@pytest.mark.parametrize("feedback", ["grey", "colour"])
def test_a_rollout_is_what_the_method_does(footage, feedback) -> None:
    """Eq. 3: each frame is told of its own answer to the one before, and no gradient goes back that way."""
    task = task_of(footage, STAGE2, network={"feedback": feedback})
    batch, net = batch_of(task), task.network
    net.leave.weight.data.normal_(0, 0.5, generator=torch.Generator().manual_seed(1))
    answered = vcgan.rollout(net, batch, 50.0)
    light = batch["lab"][:, :, :1]
    with torch.no_grad():
        shown = still(light[:, 0])
        for index in range(5):
            ab = net(light[:, index], shown).ab
            assert torch.allclose(answered.ab[index], ab, atol=1e-4)
            if index < 4:
                before = torch.cat([light[:, index], ab], 1)
                shown = net.feed(light[:, index + 1], before, batch["motion"][:, index])
    answered.ab[0].retain_grad()
    answered.ab[1].sum().backward()
    assert answered.ab[0].grad is None


# --- Steps ---


@pytest.mark.parametrize("head", ["classes", "regression"])
@pytest.mark.parametrize("path", [STAGE1, STAGE2], ids=lambda path: path.stem)
def test_steps_lower_the_loss_of_a_batch(footage, path, head) -> None:
    loss = {} if head == "classes" else {"classes": 0.0}
    if path == STAGE2:
        loss |= {"short": 3.0, "dense": 5.0}  # what begins grey is as steady as can be, and colour costs steadiness
    task = task_of(footage, path, network={"head": head}, loss=loss)
    totals = steps_down(task, batch_of(task), 12, 5e-3)
    assert totals[-1] < 0.95 * totals[0]


@pytest.mark.parametrize("path", [PAPER1, PAPER256], ids=lambda path: path.stem)
def test_steps_of_the_papers_sizes_lower_the_loss_of_a_batch(footage, public, path) -> None:
    """All terms of the stage, and the critic's beside them."""
    frames = 1 if path == PAPER1 else 3
    task = task_of(footage, path, lesson={"frames": frames})
    batch = batch_of(task)
    weighed(task, batch)
    totals = steps_down(task, batch, 2, 1e-4)
    assert min(totals[1:]) < totals[0]
    assert all(one.grad is not None and bool(one.grad.isfinite().all()) for one in task.network.parameters())
    assert (task.critic is None) == (path == PAPER1)
    if task.critic is not None:
        task.contest(batch)["total"].backward()
        assert any(float(one.grad.abs().max()) > 0 for one in task.critic.parameters())
    assert {*public} == ({"resnet50", "vgg16"} if path == PAPER1 else {"vgg16"})


def test_the_extractors_begin_with_layers_that_classify(footage, public) -> None:
    """All but the two strides that stand for pooling, and the last layer; of ab the first one says nothing yet."""
    net = task_of(footage, PAPER1).network
    tensors = public["resnet50"].state_dict()
    for extractor in net.extractors.values():
        own = extractor.state_dict()
        assert torch.equal(own["stages.0.0.conv1.weight"], tensors["layer1.0.conv1.weight"])
        assert torch.equal(own["stages.3.2.norm3.bias"], tensors["layer4.2.bn3.bias"])
        assert torch.equal(own["stages.2.0.downsample.0.weight"], tensors["layer3.0.downsample.0.weight"])
        assert torch.equal(own["stages.2.0.downsample.1.weight"], tensors["layer3.0.downsample.1.weight"])
        first = own["enter.weight"]
        assert first[:, 1:].abs().max() == 0
        # Black and white are 2 apart in lightness, and 1 over the spread in each of R', G' and B'.
        seen = (tensors["conv1.weight"] / torch.tensor([0.229, 0.224, 0.225])[:, None, None]).sum(1)
        assert torch.allclose(2 * first[:, 0], seen, atol=1e-5)
    with pytest.raises(TrainingError, match=r"lesson\.classified = 'resnet50' takes \[network\] with kernel = 7"):
        task_of(footage, PAPER1, network={"kernel": 3})


def test_public_weights_that_are_missing_are_told_before_anything_else(footage) -> None:
    with pytest.raises(WeightsError, match=r"`kinochrome weights get (vgg16|resnet50)`"):
        task_of(footage, PAPER1)


def test_all_that_is_there_learns(footage) -> None:
    task = task_of(footage, STAGE2)
    stir(task.network)
    task.terms(batch_of(task))["total"].backward()
    lengths = {name: one.grad for name, one in task.network.named_parameters()}
    silent = {name for name, one in lengths.items() if one is None or float(one.abs().max()) < 1e-9}
    # A key's bias adds the same to all that a place asks.
    assert {name for name in silent if not name.endswith("key.bias")} == set()


@pytest.mark.parametrize("name", ["", *recipes.read(STAGE2).ablations])
def test_every_ablation_takes_a_step(footage, name) -> None:
    task = task_of(footage, STAGE2, ablation=name)
    terms = task.terms(batch_of(task))
    terms["total"].backward()
    wanted = {key for key, weight in task.recipe.loss.items() if weight} | {"colour", "total"}
    assert terms.keys() == wanted
    grads = [one.grad for one in task.network.parameters()]
    assert all(one is None or bool(one.isfinite().all()) for one in grads) and any(one is not None for one in grads)


def test_the_second_stage_goes_on_from_the_first(footage, tmp_path: Path) -> None:
    """Two runs, as a person starts them; what comes out the method runs."""
    start: Path | None = None
    for path in (STAGE1, STAGE2):
        job = tiny.shipped(tmp_path, path, {"network": TINY, "lesson": LESSON | {"worn": 0.5}})
        told = tiny.run(dataclasses.replace(job, start_from=start))
        assert [data["step"] for event, data in told if event == "step"] == [1, 2]
        start = job.folder / "last.safetensors"
    made = Vcgan(VcganOptions(weights=str(start)))
    assert made.network.shape.drawing == (4, 8, 8, 8, 16) and torch.equal(made.network.bins, gamut_bins())


@pytest.mark.parametrize(
    ("path", "changes", "says"),
    [
        (STAGE1, {"lesson": {"frames": 0}}, r"lesson\.frames = 0 must be at least 1"),
        (STAGE1, {"lesson": {"side": 100}}, r"lesson\.side = 100 must be a multiple of 16, at least 64"),
        (STAGE1, {"lesson": {"side": 48}}, r"lesson\.side = 48 must be"),
        (STAGE1, {"lesson": {"mix": 1.5}}, r"lesson\.mix = 1\.5"),
        (STAGE1, {"loss": {"short": 1.0}}, r"loss\.short joins frames.* must be at least 2"),
        (STAGE2, {"lesson": {"frames": 2}}, r"loss\.dense joins frames.* must be at least 3"),
        (STAGE1, {"loss": {"edge": 1.0}}, r"\[loss\] has no edge"),
        (STAGE1, {"network": {"head": "regression"}}, r'loss\.classes needs network\.head = "classes"'),
        (STAGE1, {"network": {"classes": 313}}, r"network\.classes = 313 must be 261"),
        (STAGE1, {"network": {"finest": 3}}, r"network\.finest = 3 must be at least 0 and at most 2"),
        (STAGE1, {"network": {"drawing": [4, 4]}}, r"network\.drawing = \[4, 4\] must have at least 3 levels"),
        (STAGE1, {"network": {"blocks": [1, 1]}}, r"network\.stages and network\.blocks must have two entries less"),
        (STAGE1, {"network": {"attending": 5}}, r"network\.attending = 5 must be at most 4"),
    ],
)
def test_impossible_recipes_are_named(footage, path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        task_of(footage, path, **changes)
