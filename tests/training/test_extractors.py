"""How VCGAN's extractors learn to classify: photographs by their folders, accuracy, what begins both in stage 1."""

from __future__ import annotations

import csv
import dataclasses
import math
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from kinochrome import weights
from kinochrome.errors import TrainingError
from kinochrome.methods.vcgan.network import SLOPE, Extractor, Shape, still
from kinochrome.training import loop, vcgan
from kinochrome.training import recipe as recipes
from kinochrome.training.data import Footage, folder_of
from kinochrome.training.extractors import Pretraining

from . import tiny

PAPER, PAPER1 = recipes.find("vcgan-paper-extractors"), recipes.find("vcgan-paper-stage1")
SMALL1, SMALL2 = recipes.find("vcgan-small-stage1"), recipes.find("vcgan-small-stage2")
TINY = {
    **{"drawing": [4, 8, 8, 8, 16], "kernel": 3, "stem": 4, "stages": [4, 4, 8], "blocks": [1, 1, 1], "features": 8},
    **{"finest": 1, "attending": 2},
}
LESSON = {"side": 64}
QUICK = {"rate": 1e-2, "warmup": 0}


def photographs(folder: Path, count: int = 4) -> Path:
    """Bars that lie (`lying`) and bars that stand (`standing`), under noise, each of its own colour and width."""
    random = np.random.default_rng(4)
    for name in ("lying", "standing"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            bars = 60 * (np.arange(96) // (4 + number) % 2)
            lit = np.broadcast_to(bars[:, None] if name == "lying" else bars, (96, 96))[..., None]
            image = lit + random.integers(0, 20, (96, 96, 1)) + random.integers(0, 170, 3)
            assert cv2.imwrite(str(folder / name / f"{number}.png"), image.astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    folder = tmp_path_factory.mktemp("bars")
    return Footage([photographs(folder / "data")], folder / "store")


def task_of(footage: Footage, path: Path = PAPER, **changes: dict[str, Any]) -> Any:
    return tiny.task_of(footage, path, "", {"network": TINY, "lesson": LESSON}, changes)


def job_of(folder: Path, path: Path = PAPER, **changes: dict[str, Any]) -> loop.Job:
    """Four steps of a shipped recipe on such photographs."""
    photographs(folder / "data")
    run = {"steps": 4, "batch": 4, "save_every": 2}
    return tiny.shipped(folder, path, {"network": TINY, "lesson": LESSON, "run": run}, changes)


# --- Classes ---


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("ImageNet/train/n01440764/n01440764_18.JPEG", "n01440764"),
        ("ImageNet/train.tar:n01440764/n01440764_18.JPEG", "n01440764"),
        ("ImageNet/train.TAR:./train/n01440764/n01440764_18.JPEG", "n01440764"),
        ("ImageNet/n01440764.tar:n01440764_18.JPEG", "n01440764"),
        ("n01440764.tar:./n01440764_18.JPEG", "n01440764"),
        ("at/9:30/a.tar.jpg", "9:30"),
    ],
)
def test_a_photograph_lies_in_a_folder(name: str, folder: str) -> None:
    assert folder_of(name) == folder


def test_folders_and_tars_name_the_same_classes(tmp_path: Path) -> None:
    """As they are named when they are decoded."""
    data = photographs(tmp_path / "loose")
    with tarfile.open(tmp_path / "packed.tar", "w") as archive:
        archive.add(data / "standing", "some/where/standing")
    with tarfile.open(tmp_path / "crossing.tar", "w") as archive:
        archive.add(data / "lying" / "0.png", "0.png")
    sources = [data, tmp_path / "packed.tar", tmp_path / "crossing.tar"]
    task = task_of(Footage(sources, tmp_path / "store"))
    assert task.classes == {"crossing": 0, "lying": 1, "standing": 2}
    assert len(task.footage.photos) == 13 and task.network.choose.out_features == 3


def test_a_batch_has_lightness_and_the_class_of_each_folder(bars) -> None:
    task = task_of(bars, run={"batch": 8})
    batch = task.examples(0, 1)[0]
    assert batch["light"].shape == (8, 1, 64, 64) and batch["light"].std() > 3
    assert [task.classes[Path(name).parent.name] for name in batch["names"]] == batch["label"].tolist()
    assert set(batch["label"].tolist()) == {0, 1}
    across, down = (batch["light"].mean(way).std((1, 2)) for way in (2, 3))
    assert torch.equal((across > down).long(), batch["label"]), "bars that stand change from left to right"
    assert not {"lab", "ab"} & batch.keys()


# --- Learning ---


def test_the_loss_is_cross_entropy_and_accuracy_the_share_that_is_right(bars) -> None:
    task = task_of(bars, run={"batch": 8}, loss={"labels": 2.0})
    batch = task.examples(0, 1)[0]
    with torch.no_grad():
        task.network.choose.weight.zero_()
        task.network.choose.bias.copy_(torch.tensor([math.log(3.0), 0.0]))
    terms = {name: float(one.detach()) for name, one in task.terms(batch).items()}
    share = float((batch["label"] == 0).float().mean())
    assert 0 < share < 1 and terms["accuracy"] == share
    assert terms["labels"] == pytest.approx(-share * math.log(0.75) - (1 - share) * math.log(0.25))
    assert terms["total"] == pytest.approx(2 * terms["labels"]) and len(terms) == 3


def test_scores_are_of_the_mean_of_features_before_their_last_norm(bars) -> None:
    """With that norm, which is the generator's, they are what the generator is given."""
    task = task_of(bars)
    network, light = task.network, 100 * tiny.random(2, 1, 64, 64)
    features = network.extractor(still(light))
    assert features.shape == (2, 8, 4, 4)
    expected = network.choose(features.flatten(2).mean(2))
    assert torch.allclose(network(light), expected) and not torch.allclose(expected[0], expected[1])
    whole = Extractor(Shape(**task.options))
    whole.load_state_dict(whole.state_dict() | network.extractor.state_dict())
    bare = torch.where(features < 0, features / SLOPE, features).flatten(2)
    normal = (bare - bare.mean(2, keepdim=True)) / (bare.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt()
    given = torch.where(normal < 0, SLOPE * normal, normal).view_as(features)
    assert torch.allclose(whole(still(light)), given, atol=1e-4)


def test_it_learns_to_tell_two_folders_apart(bars) -> None:
    """Crops that it never saw: at first it guesses, after some steps it knows."""
    task = task_of(bars, run={"batch": 16})
    examples, optimizer = task.examples(0, 1), torch.optim.AdamW(task.network.parameters(), lr=1e-2)
    unseen = examples[1000]
    assert 0.25 < float(unseen["label"].float().mean()) < 0.75
    with torch.no_grad():
        before = task.terms(unseen)
    for step in range(25):
        optimizer.zero_grad()
        task.terms(examples[step])["total"].backward()
        optimizer.step()
    with torch.no_grad():
        after = task.terms(unseen)
    assert float(before["accuracy"]) < 0.75 and float(after["accuracy"]) > 0.9
    assert float(after["labels"]) < 0.5 * float(before["labels"])
    assert task.network.extractor.enter.weight[:, 1:].abs().max() == 0, "it was shown no colour"


def test_a_step_of_the_papers_sizes(bars) -> None:
    """All of the network learns from it."""
    task = tiny.task_of(bars, PAPER, "", {"lesson": LESSON, "run": {"batch": 2}})
    assert isinstance(task, Pretraining) and task.network.choose.in_features == 512
    task.terms(task.examples(0, 1)[0])["total"].backward()
    assert all(one.grad is not None and bool(one.grad.isfinite().all()) for one in task.network.parameters())
    assert all(float(one.grad.abs().max()) > 0 for one in task.network.parameters())


def test_the_recipe_is_resnets_with_the_network_of_the_stages() -> None:
    recipe, first = recipes.read(PAPER), recipes.read(PAPER1)
    assert recipe.network == first.network and recipe.loss == {"labels": 1.0}
    assert (recipe.run.method, recipe.run.batch, recipe.run.steps) == ("vcgan", 256, 600_000)
    assert (recipe.lesson["side"], recipe.lesson["frames"], recipe.lesson["photos"]) == (224, 1, 1.0)
    shares = [loop.share_of_rate(recipe.optimizer, step, 600_000) for step in (2_000, 150_000, 300_000)]
    assert shares == [1.0, 0.1, 0.01]


def test_the_log_has_the_accuracy_beside_the_loss(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    events = tiny.run(job)
    assert [data["step"] for event, data in events if event == "step"] == [1, 2, 3, 4]
    with (job.folder / "log.csv").open(newline="") as file:
        rows = [(int(step), name, float(value)) for step, name, value in list(csv.reader(file))[1:]]
    for step in range(1, 5):
        figures = {name: value for at, name, value in rows if at == step}
        assert figures.keys() == {"alone/labels", "alone/accuracy", "alone/total", "gradient"}
        assert figures["alone/accuracy"] in (0, 0.25, 0.5, 0.75, 1)
    header = weights.read_header(job.folder / "last.safetensors")
    assert header.method == "vcgan" and "vcgan-paper-extractors, step 4 of 4" in header.recipe


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = job_of(tmp_path)
    tiny.run(whole)
    broken = dataclasses.replace(whole, folder=tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        tiny.run(broken, stop_at=3)
    assert loop.read_state(broken.folder)["step"] == 3
    events = tiny.run(dataclasses.replace(broken, resume=True))
    assert [data["step"] for _, data in events] == [4]
    one, other = (tiny.state_of(job.folder) for job in (whole, broken))
    assert list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)
    assert tiny.files_of(whole.folder) == tiny.files_of(broken.folder)


# --- Stage 1 begins with it ---


def test_both_extractors_of_stage_1_begin_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly, and nothing else of the generator; the path is seen from where the command is given."""
    job = job_of(tmp_path, optimizer=QUICK)
    tiny.run(job)
    learned = weights.read(job.folder / "last.safetensors")
    monkeypatch.chdir(tmp_path)
    classified = str(Path(job.folder.name) / "last.safetensors")
    footage = Footage(job.data, tmp_path / "store")
    changes: dict[str, Any] = {"lesson": {"photos": 1.0, "classified": classified}}
    begun, anew = (
        task_of(footage, SMALL1, **one).network.state_dict() for one in (changes, {"lesson": {"photos": 1.0}})
    )
    for which in ("global", "placeholder"):
        for name in learned.keys() - {"choose.weight", "choose.bias"}:
            assert torch.equal(begun.pop(f"extractors.{which}.{name.removeprefix('extractor.')}"), learned[name])
        norm = [begun.pop(f"extractors.{which}.leave.1.{name}") for name in ("weight", "bias")]
        assert (norm[0] == 1).all() and (norm[1] == 0).all(), "the only part that did not classify"
    assert begun and not any(name.startswith("extractors.") for name in begun)
    assert all(torch.equal(one, anew[name]) for name, one in begun.items())
    assert not torch.equal(learned["extractor.leave.0.weight"], anew["extractors.global.leave.0.weight"])


def test_a_run_of_stage_1_asks_for_the_file_once_only(tmp_path: Path) -> None:
    """Begun with it, the run goes on without it."""
    job = job_of(tmp_path)
    tiny.run(job)
    file = job.folder / "last.safetensors"
    stage = job_of(tmp_path, SMALL1, lesson={"photos": 1.0, "classified": str(file)}, run={"steps": 2, "batch": 1})
    with pytest.raises(KeyboardInterrupt):
        tiny.run(stage, stop_at=1)
    file.unlink()
    assert [data["step"] for _, data in tiny.run(dataclasses.replace(stage, resume=True))] == [2]


def test_a_file_that_cannot_begin_them_is_named(bars, tmp_path: Path) -> None:
    def begins(file: object) -> Any:
        return task_of(bars, SMALL1, lesson={"photos": 1.0, "classified": str(file)})

    with pytest.raises(TrainingError, match=r"lesson\.classified: .*gone\.safetensors is not there\. Name what"):
        begins(tmp_path / "gone.safetensors")
    with pytest.raises(TrainingError, match=r'resnet5 is not there\. .* wrote, or "resnet50"'):
        begins("resnet5")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(TrainingError, match=r"torn\.safetensors cannot be read as weights"):
        begins(tmp_path / "torn.safetensors")
    header = weights.Header("vcgan", {}, "Apache-2.0", "test", "none")
    weights.write(tmp_path / "stage.safetensors", {"extractors.global.enter.bias": torch.zeros(4)}, header)
    with pytest.raises(TrainingError, match=r"stage\.safetensors holds no extractor that classifies"):
        begins(tmp_path / "stage.safetensors")
    wide = Extractor(Shape(stem=6, stages=(4, 4, 8), blocks=(1, 1, 1), features=8)).state_dict()
    weights.write(tmp_path / "wide.safetensors", {f"extractor.{name}": one for name, one in wide.items()}, header)
    with pytest.raises(TrainingError, match=r"lesson\.classified = '.*wide.*' takes \[network\] with its own kernel"):
        begins(tmp_path / "wide.safetensors")


# --- What cannot be ---


def test_one_class_teaches_nothing(tmp_path: Path) -> None:
    tiny.photographs(tmp_path / "only")
    footage = Footage([tmp_path / "only"], tmp_path / "store")
    with pytest.raises(TrainingError, match=r"apart, and all 3 lie in one folder, 'only'\. Name a folder with one"):
        task_of(footage)


def test_a_run_with_one_class_ends_before_its_first_step(tmp_path: Path) -> None:
    tiny.photographs(tmp_path / "only")
    job = dataclasses.replace(job_of(tmp_path), data=(tmp_path / "only",))
    with pytest.raises(TrainingError, match="one folder, 'only'"):
        tiny.run(job)
    assert not (job.folder / "last.safetensors").exists()


def test_films_have_no_class(tmp_path: Path) -> None:
    footage = Footage([tiny.footage(tmp_path / "films")], tmp_path / "store")
    with pytest.raises(TrainingError, match=r"classifies photographs, and the data has only films\. Name a folder of"):
        task_of(footage)


def test_an_extractor_cannot_be_judged(tmp_path: Path) -> None:
    job = dataclasses.replace(job_of(tmp_path), dev=tiny.clips(tmp_path / "dev"))
    with pytest.raises(TrainingError, match="colours no clips: leave out --dev"):
        tiny.run(job)
    assert len(tiny.run(dataclasses.replace(job, dev=None))) == 4, "the folder is free for a run without"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loss": {"colour": 1.0, "perceptual": 5.0}}, r"take colour, perceptual out of \[loss\]"),
        ({"lesson": {"frames": 2}}, r"set lesson\.frames = 1 and lesson\.photos = 1"),
        ({"lesson": {"photos": 0.5}}, r"set lesson\.frames = 1 and lesson\.photos = 1"),
        ({"lesson": {"side": 72}}, r"lesson\.side = 72 must be a multiple of 16, at least 64"),
        ({"lesson": {"alpha": 50.0}}, r"there is no 'alpha'"),
        ({"network": {"blocks": [1, 1]}}, r"network\.stages and network\.blocks must have two entries less"),
        ({"loss": {"labels": 0.0}}, r"\[loss\] has no labels"),
    ],
)
def test_impossible_recipes_are_named(bars, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        task_of(bars, **changes)


def test_whoever_weighs_no_labels_trains_the_generator(footage) -> None:
    for path in (SMALL1, SMALL2):
        assert type(task_of(footage, path)) is vcgan.Task
