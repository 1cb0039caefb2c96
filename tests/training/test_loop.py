"""The loop: it learns; stopped, killed, out of room or out of numbers, it goes on as if nothing had been."""

from __future__ import annotations

import csv
import math
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kinochrome import chain, weights
from kinochrome.errors import TrainingError, VideoError, WeightsError
from kinochrome.methods import kino as kino_method
from kinochrome.project import locked
from kinochrome.training import kino, loop, processes
from kinochrome.training.recipe import Critic, Optimizer, Run
from kinochrome.types import Reference, Shot
from tests.disk import full_disk
from tests.film import make_film, moving_planes

from . import tiny

ROOT = Path(__file__).parents[2]


def rows(folder: Path) -> list[tuple[int, str, float]]:
    with (folder / "log.csv").open(newline="") as file:
        head, *lines = csv.reader(file)
    assert head == ["step", "name", "value"]
    return [(int(step), name, float(value)) for step, name, value in lines]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


# --- It learns ---


def test_the_loss_of_a_repeated_clip_falls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kino, "TASKS", {"still": 1.0})
    one = kino.Examples.__getitem__
    monkeypatch.setattr(kino.Examples, "__getitem__", lambda self, step: one(self, 0))
    events = tiny.run(tiny.job(tmp_path, steps=40, save_every=40))
    losses = [data["still/total"] for event, data in events if event == "step"]
    assert len(losses) == 40 and np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])


def test_every_figure_is_told_and_logged(tmp_path: Path) -> None:
    events = tiny.run(tiny.job(tmp_path))
    told = [(data["step"], data) for event, data in events if event == "step"]
    assert [step for step, _ in told] == [1, 2, 3, 4] and all(data["steps"] == 4 for _, data in told)
    logged = rows(tmp_path / "run")
    for step, data in told:
        figures = {name: value for name, value in data.items() if name not in ("step", "steps", "left")}
        assert [(s, n, pytest.approx(v)) for s, n, v in logged if s == step] == [
            (step, name, value) for name, value in figures.items()
        ]


def test_the_learning_rate_rises_then_falls_to_the_floor() -> None:
    options = Optimizer(rate=1.0, warmup=10, floor=0.1)
    rates = [loop.share_of_rate(options, step, 110) for step in range(110)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[60] == pytest.approx(0.55), "halfway down is halfway between 1 and the floor"
    assert rates[109] == pytest.approx(0.1, abs=1e-3) and all(np.diff(rates[10:]) < 0)


def test_a_rate_is_what_it_was_when_it_was_multiplied_in_turn() -> None:
    """To the last bit: a run that was begun before rates were shares goes on as it would have."""
    for rate, warmup, floor in ((5e-4, 100, 0.02), (3e-4, 7, 0.1), (1e-4 / 3, 0, 0.7), (2e-5, 400, 0.0)):
        options = Optimizer(rate=rate, warmup=warmup, floor=floor)
        for step in range(300):
            warm = min(1.0, (step + 1) / max(1, warmup))
            done = min(1.0, max(0, step - warmup) / max(1, 300 - warmup))
            fallen = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
            assert rate * loop.share_of_rate(options, step, 300) == rate * warm * fallen


def test_the_learning_rate_falls_by_steps() -> None:
    options = Optimizer(warmup=0, floor=0.5, falls=((0.4, 0.1), (0.8, 0.01)))
    assert [loop.share_of_rate(options, step, 10) for step in range(10)] == [1.0] * 4 + [0.1] * 4 + [0.01] * 2
    # 0.4 * 7 is 2.8, so that it has fallen for step 3, and 0.8 * 7 is 5.6.
    assert [loop.share_of_rate(options, step, 7) for step in range(7)] == [1.0] * 3 + [0.1] * 3 + [0.01]
    # 0.07 * 100 is more than 7 to a computer.
    options = replace(options, falls=((0.07, 0.5),))
    assert [loop.share_of_rate(options, step, 100) for step in (6, 7, 99)] == [1.0, 0.5, 0.5]
    options = replace(options, falls=((0.0, 0.5), (1.0, 0.1)))
    assert {loop.share_of_rate(options, step, 100) for step in range(100)} == {0.5}


def test_the_rate_rises_before_it_falls_by_steps() -> None:
    options = Optimizer(warmup=4, falls=((0.25, 0.1), (0.5, 0.01)))
    found = [loop.share_of_rate(options, step, 8) for step in range(8)]
    assert found == pytest.approx([0.25, 0.5, 0.075, 0.1, 0.01, 0.01, 0.01, 0.01], rel=1e-12)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_narrow_numbers_train(tmp_path: Path, precision: str) -> None:
    tiny.run(tiny.job(tmp_path, precision=precision, steps=2))
    assert all(tensor.dtype == torch.float32 for tensor in weights.read(tmp_path / "run/last.safetensors").values())
    assert all(np.isfinite(value) for _, name, value in rows(tmp_path / "run") if not name.endswith("gradient"))


def test_workers_work_after_opencv_used_its_threads(tmp_path: Path) -> None:
    """Decoding and judging leave OpenCV's threads behind in the process that workers are forked from."""
    job = tiny.job(tmp_path, workers=2, steps=2)
    script = (
        "import cv2, numpy, sys; from pathlib import Path; from kinochrome.training import loop\n"
        "cv2.setNumThreads(4); image = numpy.zeros((2000, 2000, 3), numpy.float32)\n"
        "[cv2.GaussianBlur(image, (9, 9), 2) for _ in range(8)]\n"
        "recipe, data, folder = map(Path, sys.argv[1:])\n"
        "loop.train(loop.Job(recipe, (data,), folder), lambda event, told: None)"
    )
    command = [sys.executable, "-c", script, str(job.recipe), str(job.data[0]), str(job.folder)]
    subprocess.run(command, check=True, timeout=240)
    assert loop.read_state(job.folder)["step"] == 2


# --- What it leaves ---


def test_the_weights_load_as_the_method_and_colour_a_clip(tmp_path: Path) -> None:
    tiny.run(tiny.job(tmp_path))
    file = tmp_path / "run/last.safetensors"
    method = kino_method.Kino(kino_method.KinoOptions(weights=str(file)))
    light = torch.rand(4, 1, 48, 64) * 100
    reference = Reference(light[0], torch.full((2, 48, 64), 20.0), torch.ones(1, 48, 64), 0)
    step = chain.Step("kino", None, method, (48, 64))
    said = list(
        chain.colour_shot((step,), Shot(0, 4), 4, lambda size, first, last: light[first:last], lambda size: [reference])
    )
    assert len(said) == 4 and torch.equal(said[0].ab, reference.ab)
    assert all(bool(torch.isfinite(one.ab).all()) for one in said)


def test_the_header_says_how_and_from_what(tmp_path: Path) -> None:
    tiny.run(tiny.job(tmp_path, rate=1.5e-3))
    header = weights.read_header(tmp_path / "run/last.safetensors")
    assert header.method == "kino" and header.licence == "Apache-2.0" and header.data == "data"
    assert header.options == {"widths": [8, 8, 16, 16], "key": 16}
    assert header.recipe.startswith("run, step 4 of 4, ") and "'rate': 0.0015" in header.recipe


def test_the_average_follows_the_trained_weights(tmp_path: Path) -> None:
    tiny.run(tiny.job(tmp_path, steps=1))
    state = loop.read_state(tmp_path / "run")
    # The first share is 1 - 1/10; the network began where the average did.
    torch.manual_seed(1)
    begun = kino.Network(kino.Shape((8, 8, 16, 16), 16)).state_dict()
    for name, tensor in weights.read(tmp_path / "run/last.safetensors").items():
        torch.testing.assert_close(tensor, begun[name].lerp(state["network"][name], 0.9), rtol=1e-5, atol=1e-7)


def test_the_best_are_those_that_did_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter([20.0, 30.0, 25.0])
    real = loop.judge.judge

    def judged(method: Any, clips: Any) -> Any:
        verdict = real(method, clips)
        mean = next(found)
        return replace(verdict, psnr=dict.fromkeys(verdict.psnr, mean))

    monkeypatch.setattr(loop.judge, "judge", judged)
    events = tiny.run(tiny.job(tmp_path, steps=6, save_every=5, dev=tiny.clips(tmp_path / "dev")))
    assert [(data["step"], data["better"], data["best"]) for event, data in events if event == "judged"] == [
        (2, True, 20.0),
        (4, True, 30.0),
        (6, False, 30.0),
    ]
    assert ", step 4 of 6," in weights.read_header(tmp_path / "run/best.safetensors").recipe
    assert ", step 6 of 6," in weights.read_header(tmp_path / "run/last.safetensors").recipe
    assert [(step, value) for step, name, value in rows(tmp_path / "run") if name == "dev"] == [
        (2, 20.0),
        (4, 30.0),
        (6, 25.0),
    ]
    assert {name for _, name, _ in rows(tmp_path / "run") if name.startswith("dev/")} == {"dev/film0", "dev/pictures"}
    assert len(list((tmp_path / "run/pictures").glob("*.jpg"))) == 3


def test_without_clips_there_is_no_best(tmp_path: Path) -> None:
    tiny.run(tiny.job(tmp_path))
    assert not (tmp_path / "run/best.safetensors").exists() and (tmp_path / "run/last.safetensors").exists()


def test_weights_are_written_once_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = weights.write

    def noted(path: Path, *rest: Any) -> None:
        written.append(path.name)
        write(path, *rest)

    monkeypatch.setattr(weights, "write", noted)
    tiny.run(tiny.job(tmp_path, steps=2, dev=tiny.clips(tmp_path / "dev")))
    assert written == ["last.safetensors", "best.safetensors"]


def test_the_state_does_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Told otherwise, it would meet other parts of the network for the first time.
    monkeypatch.setattr(kino, "TASKS", {"first": 1.0})
    sizes = []
    for stop in (2, 4, 6):
        with pytest.raises(KeyboardInterrupt):
            tiny.run(tiny.job(tmp_path, steps=8, resume=stop > 2), stop_at=stop)
        sizes.append((tmp_path / "run/state.pt").stat().st_size)
    assert max(sizes) < 1.01 * min(sizes)


def test_weights_in_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Run("kino", 1).shard is None and Run("kino", 1, shard_megabytes=3).shard == 3_000_000
    # The smallest that a recipe can say holds all of this network.
    monkeypatch.setattr(Run, "shard", 60_000)
    tiny.run(tiny.job(tmp_path, steps=2))
    assert len(list((tmp_path / "run").glob("last-*-of-*.safetensors"))) > 1
    kino_method.Kino(kino_method.KinoOptions(weights=str(tmp_path / "run/last")))


def test_tensorboard_has_every_figure_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # Killed after step 3, saved at step 2: what came of step 3 comes again.
    with pytest.raises(RuntimeError):
        loop.train(tiny.job(tmp_path), killed_at_3)
    tiny.run(tiny.job(tmp_path, resume=True))
    events = EventAccumulator(str(tmp_path / "run/tensorboard")).Reload()
    found = {(one.step, name): one.value for name in events.Tags()["scalars"] for one in events.Scalars(name)}
    logged = rows(tmp_path / "run")
    assert found == {(step, name): pytest.approx(value, rel=1e-6) for step, name, value in logged}
    assert sum(len(events.Scalars(name)) for name in events.Tags()["scalars"]) == len(logged)


def assert_goes_on(whole: loop.Job, stop: int) -> None:
    """Stopped at a step and gone on with, it leaves what it leaves unbroken."""
    broken = replace(whole, folder=whole.folder.with_name("broken"))
    tiny.run(whole)
    with pytest.raises(KeyboardInterrupt):
        tiny.run(broken, stop_at=stop)
    tiny.run(replace(broken, resume=True))
    assert equal(tiny.state_of(whole.folder), tiny.state_of(broken.folder))
    assert tiny.files_of(whole.folder) == tiny.files_of(broken.folder)


def killed_at_3(event: str, data: dict[str, Any]) -> None:
    if data["step"] == 3:
        raise RuntimeError


# --- Stopped and resumed ---


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    dev = tiny.clips(tmp_path / "dev")
    whole, broken = (tiny.job(tmp_path, name, steps=6, dev=dev) for name in ("whole", "broken"))
    broken = replace(broken, recipe=whole.recipe)
    tiny.run(whole)
    # At step 3 between two checkpoints, at step 4 before it is judged.
    for stop in (3, 4):
        with pytest.raises(KeyboardInterrupt):
            tiny.run(replace(broken, resume=stop > 3), stop_at=stop)
    tiny.run(replace(broken, resume=True))
    assert equal(tiny.state_of(whole.folder), tiny.state_of(broken.folder))
    assert len(tiny.state_of(whole.folder)) > 100
    assert tiny.files_of(whole.folder) == tiny.files_of(broken.folder)
    assert len(tiny.files_of(whole.folder)) == 4


def test_what_a_network_draws_by_chance_goes_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    total = kino.total

    def chancy(*words: Any) -> dict[str, torch.Tensor]:
        terms = total(*words)
        return terms | {"total": terms["total"] * (0.5 + torch.rand(()))}

    monkeypatch.setattr(kino, "total", chancy)
    assert_goes_on(tiny.job(tmp_path), 2)


def test_a_resumed_run_knows_its_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = loop.judge.Verdict({"clip": 30.0}, np.zeros((4, 4, 3), np.uint8))
    monkeypatch.setattr(loop.judge, "judge", lambda method, clips: verdict)
    dev = tiny.clips(tmp_path / "dev")
    with pytest.raises(KeyboardInterrupt):
        tiny.run(tiny.job(tmp_path, dev=dev), stop_at=3)
    verdict = replace(verdict, psnr={"clip": 20.0})
    events = tiny.run(tiny.job(tmp_path, dev=dev, resume=True))
    assert [(data["better"], data["best"]) for event, data in events if event == "judged"] == [(False, 30.0)]
    assert ", step 2 of 4," in weights.read_header(tmp_path / "run/best.safetensors").recipe


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from kinochrome.training import loop
torch.set_num_threads(1)

def tell(event, data):
    if data["step"] == 5:
        os.kill(os.getpid(), signal.SIGKILL)

recipe, data, folder, store = map(Path, sys.argv[1:])
loop.train(loop.Job(recipe, (data,), folder, store=store), tell)
"""


def run_python(program: str, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_run_goes_on_from_its_last_save(tmp_path: Path) -> None:
    whole, killed = (tiny.job(tmp_path, name, steps=6, save_every=4) for name in ("whole", "killed"))
    killed = replace(killed, recipe=whole.recipe)
    tiny.run(whole)
    done = run_python(KILLED, killed.recipe, killed.data[0], killed.folder, killed.store)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert loop.read_state(killed.folder)["step"] == 4 and rows(killed.folder)[-1][0] == 5
    events = tiny.run(replace(killed, resume=True))
    assert [data["step"] for _, data in events] == [5, 6]
    assert equal(tiny.state_of(whole.folder), tiny.state_of(killed.folder))
    assert tiny.files_of(whole.folder) == tiny.files_of(killed.folder)


def test_a_torn_last_line_of_the_log_is_cut(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tiny.run(tiny.job(tmp_path), stop_at=3)
    before = (tmp_path / "run/log.csv").read_bytes()
    (tmp_path / "run/log.csv").write_bytes(before + b"4,first/total,0.1\n3,first/tot")
    tiny.run(tiny.job(tmp_path, resume=True))
    after = (tmp_path / "run/log.csv").read_bytes()
    assert after.startswith(before) and b"first/tot\n" not in after and b",0.1\n" not in after


def test_ctrl_c_waits_for_the_end_of_an_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow = loop._Run._follow

    def interrupted(self: Any, average: float) -> None:
        if self.step == 2:
            signal.raise_signal(signal.SIGINT)
            # Else the weights would have moved, and their average not.
        follow(self, average)

    whole = tiny.job(tmp_path, "whole")
    tiny.run(whole)
    monkeypatch.setattr(loop._Run, "_follow", interrupted)
    broken = replace(whole, folder=tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        tiny.run(broken)
    assert loop.read_state(broken.folder)["step"] == 3
    monkeypatch.undo()
    tiny.run(replace(broken, resume=True))
    assert equal(tiny.state_of(whole.folder), tiny.state_of(broken.folder))


def test_what_may_not_be_interrupted_gives_way_afterwards() -> None:
    for error in (None, OSError):
        seen = []
        with pytest.raises(KeyboardInterrupt), processes.uninterrupted():
            signal.raise_signal(signal.SIGINT)
            seen.append("went on")
            if error:
                raise error
        assert seen and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(OSError), processes.uninterrupted():
        raise OSError


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    tiny.run(tiny.job(tmp_path))
    before = tiny.files_of(tmp_path / "run")
    assert tiny.run(tiny.job(tmp_path, resume=True)) == []
    assert tiny.files_of(tmp_path / "run") == before


def test_a_run_stopped_while_it_is_judged_is_judged_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = tiny.clips(tmp_path / "dev")

    def stopped(method: Any, clips: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop.judge, "judge", stopped)
    with pytest.raises(KeyboardInterrupt):
        tiny.run(tiny.job(tmp_path, steps=2, dev=dev))
    monkeypatch.undo()
    events = tiny.run(tiny.job(tmp_path, steps=2, dev=dev, resume=True))
    assert [(event, data["step"]) for event, data in events] == [("judged", 2)]
    assert (tmp_path / "run/best.safetensors").exists()


# --- A critic ---


@pytest.fixture
def duel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever method a recipe names, the tiny task with a critic is trained."""
    monkeypatch.setattr(loop, "_task_of", lambda method, recipe: tiny.Duel)


def dueling(folder: Path, name: str = "run", rate: float = 1e-3, **changes: Any) -> loop.Job:
    """A run whose recipe speaks of a critic."""
    job = tiny.job(folder, name, **changes)
    with job.recipe.open("a", encoding="utf-8") as file:
        file.write(f"[critic]\nrate = {rate}\nclip = 0.2\nmomentum = [0.4, 0.9]\ndecay = 0.1\n")
    return job


def follow(network: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor, clip: float) -> float:
    """One step by gradients that are worked out for these weights alone; the length of the gradient."""
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    length = float(torch.cat([one.flatten() for one in gradients]).norm())
    for one, gradient in zip(network.parameters(), gradients, strict=True):
        one.grad = gradient * min(1.0, clip / (length + 1e-6))
    optimizer.step()
    return length


@pytest.mark.usefixtures("duel")
def test_network_and_critic_take_turns(tmp_path: Path) -> None:
    job = dueling(tmp_path, steps=3)
    tiny.run(job)
    recipe = loop.read(job.recipe)
    torch.manual_seed(recipe.run.seed)
    task = tiny.Duel(recipe, job.recipe, None)  # type: ignore[arg-type]
    critic, options = task.critic, recipe.optimizer
    assert critic is not None and recipe.critic is not None
    first = torch.optim.AdamW(task.network.parameters(), betas=options.momentum, weight_decay=options.decay)
    second = torch.optim.AdamW(critic.parameters(), betas=(0.4, 0.9), weight_decay=0.1)
    logged = {(step, name): value for step, name, value in rows(job.folder)}
    for step in range(3):
        batch = task.examples(0, 1)[step]
        rate = options.rate * loop.share_of_rate(options, step, 3)
        first.param_groups[0]["lr"], second.param_groups[0]["lr"] = rate, rate * 1e-3 / options.rate
        terms = task.terms(batch)
        length = follow(task.network, first, terms["total"], options.clip)
        assert logged[step + 1, "total"] == pytest.approx(terms["total"].item(), rel=1e-4)
        assert logged[step + 1, "gradient"] == pytest.approx(length, rel=1e-4)
        terms = task.contest(batch)
        length = follow(critic, second, terms["total"], 0.2)
        assert length > 0.2, "or nothing would be shortened"
        found = {name: value.item() for name, value in terms.items()} | {"gradient": length}
        for name, value in found.items():
            assert logged[step + 1, f"critic/{name}"] == pytest.approx(value, rel=1e-4)
    state = loop.read_state(job.folder)
    for network, kept in ((task.network, state["network"]), (critic, state["critic"]["network"])):
        torch.testing.assert_close(dict(network.state_dict()), dict(kept), rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("duel")
def test_the_critic_is_kept_with_the_state_and_not_with_the_weights(tmp_path: Path) -> None:
    tiny.run(dueling(tmp_path))
    assert set(weights.read(tmp_path / "run/last.safetensors")) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    state = loop.read_state(tmp_path / "run")
    assert set(state["critic"]) == {"network", "optimizer", "scaler"}
    assert any(name.endswith("_u") for name in state["critic"]["network"])


@pytest.mark.usefixtures("duel")
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_contest_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path, precision: str) -> None:
    whole = dueling(tmp_path, steps=6, precision=precision)
    assert_goes_on(whole, 3)
    assert any(name.startswith("/critic/optimizer/") for name in tiny.state_of(whole.folder))


@pytest.mark.usefixtures("duel")
def test_a_critic_needs_no_table(tmp_path: Path) -> None:
    tiny.run(tiny.job(tmp_path, steps=1))
    groups = loop.read_state(tmp_path / "run")["critic"]["optimizer"]["param_groups"]
    assert groups[0]["betas"] == (0.5, 0.999) and groups[0]["lr"] == pytest.approx(1e-4 / 4), (
        "the first of 4 warm steps"
    )


@pytest.mark.usefixtures("duel")
def test_what_a_critic_does_not_learn_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = tiny.Duel.__init__

    def frozen(self: tiny.Duel, *words: Any) -> None:
        begin(self, *words)
        assert self.critic
        self.critic[0].requires_grad_(False)  # type: ignore[index]

    monkeypatch.setattr(tiny.Duel, "__init__", frozen)
    tiny.run(dueling(tmp_path))
    torch.manual_seed(1)
    begun = tiny.Duel(loop.read(tmp_path / "run.toml"), tmp_path, None).critic  # type: ignore[arg-type]
    assert begun
    after = loop.read_state(tmp_path / "run")["critic"]["network"]
    same = {name: torch.equal(one, after[name]) for name, one in begun.named_parameters()}
    assert all(one == name.startswith("0.") for name, one in same.items()) and len(same) == 4


@pytest.mark.usefixtures("duel")
def test_a_critic_may_look_at_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = tiny.Duel.__init__

    def in_time(self: tiny.Duel, *words: Any) -> None:
        begin(self, *words)
        self.critic = torch.nn.Sequential(torch.nn.Unflatten(1, (2, 1)), torch.nn.Conv3d(2, 1, (1, 3, 3)))

    monkeypatch.setattr(tiny.Duel, "__init__", in_time)
    tiny.run(dueling(tmp_path, steps=1))
    assert loop.read_state(tmp_path / "run")["critic"]["network"]["1.weight"].dim() == 5


@pytest.mark.usefixtures("duel")
def test_a_critic_whose_loss_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contest, steps = tiny.Duel.contest, []

    def spoilt(self: tiny.Duel, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        steps.append(batch)
        terms = contest(self, batch)
        return terms | {"total": terms["total"] * torch.nan} if len(steps) == 3 else terms

    monkeypatch.setattr(tiny.Duel, "contest", spoilt)
    said = r"Step 3: the critic's loss is not a number, on pair 2\..*Lower \[critic\] rate"
    with pytest.raises(TrainingError, match=said):
        tiny.run(dueling(tmp_path))
    assert loop.read_state(tmp_path / "run")["step"] == 2 and rows(tmp_path / "run")[-1][0] == 2


@pytest.mark.usefixtures("duel")
def test_a_state_without_the_critic_is_of_another_run(tmp_path: Path) -> None:
    tiny.run(dueling(tmp_path))
    state = loop.read_state(tmp_path / "run")
    torch.save({name: one for name, one in state.items() if name != "critic"}, tmp_path / "run/state.pt")
    with pytest.raises(TrainingError, match="its state is of another network"):
        tiny.run(dueling(tmp_path, resume=True))


@pytest.mark.usefixtures("duel")
def test_a_task_may_do_without_its_critic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin, terms = tiny.Duel.__init__, tiny.Duel.terms

    def alone(self: tiny.Duel, *words: Any) -> None:
        begin(self, *words)
        self.critic = None

    def plain(self: tiny.Duel, batch: dict[str, Any]) -> dict[str, torch.Tensor]:
        self.critic = torch.nn.Identity()
        found = terms(self, batch)
        self.critic = None
        return found

    monkeypatch.setattr(tiny.Duel, "__init__", alone)
    monkeypatch.setattr(tiny.Duel, "terms", plain)
    tiny.run(dueling(tmp_path))
    assert "critic" not in loop.read_state(tmp_path / "run")
    assert not any(name.startswith("critic/") for _, name, _ in rows(tmp_path / "run"))


def test_a_critic_that_nobody_meets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"run\.toml: kino learns without a critic\. Take out \[critic\]"):
        tiny.run(dueling(tmp_path))
    tiny.run(tiny.job(tmp_path))
    assert "critic" not in loop.read_state(tmp_path / "run")


# --- Parts that learn at rates of their own ---


def saying(job: loop.Job, said: str) -> loop.Job:
    """The run, its recipe's [optimizer] with more to say."""
    text = job.recipe.read_text(encoding="utf-8")
    assert text.count("[optimizer]\n") == 1
    job.recipe.write_text(text.replace("[optimizer]\n", f"[optimizer]\n{said}\n"), encoding="utf-8")
    return job


def begun_with(job: loop.Job) -> dict[str, torch.Tensor]:
    """The first weights of a run of the tiny task with a critic."""
    recipe = loop.read(job.recipe)
    torch.manual_seed(recipe.run.seed)
    task = tiny.Duel(recipe, job.recipe, None)  # type: ignore[arg-type]
    return {name: one.detach().clone() for name, one in task.network.named_parameters()}


@pytest.mark.usefixtures("duel")
@pytest.mark.parametrize(("slow", "still"), [("0", "2"), ("2", "0")])
def test_a_part_of_a_tiny_rate_stays_as_it_is(tmp_path: Path, slow: str, still: str) -> None:
    job = saying(dueling(tmp_path), f"rates = {{ {still} = 1e-12, {slow} = 1e-3 }}")
    tiny.run(job)
    after = loop.read_state(job.folder)["network"]
    for name, one in begun_with(job).items():
        moved = float((after[name] - one).abs().max())
        assert moved < 1e-9 if name.startswith(still) else moved > 1e-4


@pytest.mark.usefixtures("duel")
def test_each_part_takes_steps_of_its_own_length(tmp_path: Path) -> None:
    said = 'rates = { 2 = 4e-4, "2.bias" = 4e-5 }\ndecay = 0.0'
    job = saying(dueling(tmp_path, steps=1), said)
    tiny.run(job)
    after = loop.read_state(job.folder)["network"]
    # AdamW's first step is as long as its rate, whatever the gradient. It is the first of 4 warm ones.
    expected = {"0.weight": 2e-3 / 4, "0.bias": 2e-3 / 4, "2.weight": 1e-4, "2.bias": 1e-5}
    for name, one in begun_with(job).items():
        torch.testing.assert_close((after[name] - one).abs(), torch.full_like(one, expected[name]), rtol=2e-2, atol=0)


@pytest.mark.usefixtures("duel")
def test_parts_and_critic_fall_together(tmp_path: Path) -> None:
    for stop, share in ((2, 0.5), (3, 0.075), (4, 0.1)):
        job = saying(dueling(tmp_path, f"until {stop}"), "rates = { 2 = 1e-5 }\nfalls = [[0.5, 0.1]]")
        with pytest.raises(KeyboardInterrupt):
            tiny.run(job, stop_at=stop)
        state = loop.read_state(job.folder)
        rates = [group["lr"] for group in state["optimizer"]["param_groups"]]
        assert rates == pytest.approx([2e-3 * share, 1e-5 * share], rel=1e-12)
        assert [group["lr"] for group in state["critic"]["optimizer"]["param_groups"]] == [pytest.approx(1e-3 * share)]


@pytest.mark.usefixtures("duel")
def test_parts_that_were_stopped_go_on_as_if_they_had_not_been(tmp_path: Path) -> None:
    said = "rates = { 2 = 1e-4 }\nfalls = [[0.5, 0.3], [0.8, 0.1]]"
    whole = saying(dueling(tmp_path, steps=6), said)
    assert_goes_on(whole, 3)
    assert len(loop.read_state(whole.folder)["optimizer"]["param_groups"]) == 2


def test_without_rates_there_is_one_group_in_the_order_of_the_network() -> None:
    """Else no state from before there were rates could be gone on from."""
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Conv2d(2, 2, 3))
    for options in (Optimizer(rate=0.5), Critic(rate=0.5)):
        player = loop._Player(network, options, Run("kino", 5), "cpu")
        (group,) = player.optimizer.param_groups
        assert [id(one) for one in group["params"]] == [id(one) for one in network.parameters()]
        assert group["lr"] == 0.5 and player.rates == [0.5]
    before = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(torch.ones(1, 1, 8, 8)).sum().backward()
    before.step()
    player.restore(player.state() | {"optimizer": before.state_dict()})
    player.learn(network(torch.ones(1, 1, 8, 8)).sum(), 0.5, processes.Processes(0, 1))
    assert [group["lr"] for group in player.optimizer.param_groups] == [0.25]
    assert {float(one["step"]) for one in player.optimizer.state.values()} == {2.0}


def test_every_parameter_is_in_the_group_of_the_longest_name_that_it_begins_with() -> None:
    block = torch.nn.ModuleDict({"first": torch.nn.Linear(1, 1), "firsts": torch.nn.Linear(1, 1)})
    network = torch.nn.ModuleDict({"eyes": block, "eyesight": torch.nn.Linear(1, 1), "tail": torch.nn.Linear(1, 1)})
    rates = {"eyes": 0.2, "eyes.first": 0.3, "tail.bias": 0.4}
    names = {id(one): name for name, one in network.named_parameters()}
    groups = loop.groups_of(network, Optimizer(rate=0.1, rates=rates))
    assert [(rate, [names[id(one)] for one in learning]) for rate, learning in groups] == [
        (0.1, ["eyesight.weight", "eyesight.bias", "tail.weight"]),
        (0.2, ["eyes.firsts.weight", "eyes.firsts.bias"]),
        (0.3, ["eyes.first.weight", "eyes.first.bias"]),
        (0.4, ["tail.bias"]),
    ]
    # The order in which they are named makes no difference to what is whose, and nobody need be left over.
    groups = loop.groups_of(network, Optimizer(rates={"eyes.first": 0.3, "eyes": 0.2, "eyesight": 0.1, "tail": 0.4}))
    assert [(rate, len(learning)) for rate, learning in groups] == [(0.3, 2), (0.2, 2), (0.1, 2), (0.4, 2)]


@pytest.mark.usefixtures("duel")
@pytest.mark.parametrize("part", ["trunk", "0.weigh", "2.", ""])
def test_a_rate_of_what_the_network_has_not_is_refused(tmp_path: Path, part: str) -> None:
    job = saying(dueling(tmp_path), f'rates = {{ 2 = 1e-3, "{part}" = 1e-5 }}')
    with pytest.raises(TrainingError) as caught:
        tiny.run(job)
    said = f"optimizer.rates has {part!r}, which the network has not. Its parts: 0, 2."
    assert str(caught.value) == f"{job.recipe}: {said}"
    assert not (job.folder / "state.pt").exists()


@pytest.mark.usefixtures("duel")
def test_weights_say_which_rates_they_were_trained_at_where_there_were_some(tmp_path: Path) -> None:
    tiny.run(dueling(tmp_path, "plain", steps=1))
    tiny.run(saying(dueling(tmp_path, "parted", steps=1), "rates = { 2 = 1e-5 }\nfalls = [[0.5, 0.1]]"))
    plain, parted = (weights.read_header(tmp_path / name / "last.safetensors").recipe for name in ("plain", "parted"))
    assert "'rates': {'2': 1e-05}" in parted and "'falls': ((0.5, 0.1),)" in parted
    # As from before there were such.
    assert "'rates'" not in plain and "'falls'" not in plain and "'rate': 0.002, 'warmup': 4," in plain


# --- What is refused ---


def test_a_run_is_neither_overwritten_nor_mixed_with_another(tmp_path: Path) -> None:
    tiny.run(tiny.job(tmp_path))
    before = tiny.files_of(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"holds a run already.*--resume"):
        tiny.run(tiny.job(tmp_path))
    anew = rf"begin a new run in another --out with --from {tmp_path}/run/last\.safetensors\.$"
    with pytest.raises(TrainingError, match=rf"begun with another recipe .*{anew}"):
        tiny.run(tiny.job(tmp_path, steps=9, resume=True))
    tiny.recipe(tmp_path / "run.toml")
    alike = moving_planes(12, (64, 80), "yuv444p", seed=8)
    for other in (tiny.footage(tmp_path / "other", (7,)), tmp_path / "alike.mkv"):
        if not other.exists():
            make_film(other, alike, "yuv444p", tags=tiny.TAGS)
        with pytest.raises(TrainingError, match=rf"begun with other data.*{anew}"):
            tiny.run(tiny.job(tmp_path, resume=True, data=(other,)))
    assert tiny.files_of(tmp_path / "run") == before


def test_a_run_is_judged_by_what_it_was_begun_with(tmp_path: Path) -> None:
    dev = tiny.clips(tmp_path / "dev")
    with pytest.raises(KeyboardInterrupt):
        tiny.run(tiny.job(tmp_path, dev=dev), stop_at=2)
    for other in (tiny.clips(tmp_path / "other"), None):
        if other:
            (other / "pictures" / "00003.png").unlink()
            (other / "pictures" / "00004.png").unlink()
        with pytest.raises(TrainingError, match=r"other clips to judge by than now .*Give --dev what it had"):
            tiny.run(tiny.job(tmp_path, dev=other, resume=True))
    moved = dev.rename(tmp_path / "moved")
    events = tiny.run(tiny.job(tmp_path, dev=moved, resume=True))
    assert [data["step"] for event, data in events if event == "judged"] == [2, 4]


def test_a_run_without_clips_may_have_some_later(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tiny.run(tiny.job(tmp_path), stop_at=3)
    dev = tiny.clips(tmp_path / "dev")
    tiny.run(tiny.job(tmp_path, dev=dev, resume=True))
    with pytest.raises(TrainingError, match=r"than now \(none, without --dev\)"):
        tiny.run(tiny.job(tmp_path, resume=True))


def test_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no run to resume"):
        tiny.run(tiny.job(tmp_path, resume=True))
    assert not (tmp_path / "run").exists(), "not even a lock is left"


def test_a_run_that_never_began_leaves_nothing(tmp_path: Path) -> None:
    job = tiny.job(tmp_path)
    (tmp_path / "empty").mkdir()
    wrong = [{"data": (tmp_path / "nowhere",)}, {"data": (tmp_path / "empty",)}, {"dev": tmp_path / "nowhere"}]
    for changes in wrong:
        for store in (job.store, None):
            with pytest.raises((TrainingError, VideoError), match=r"is not there|was found|--dev names the folder"):
                tiny.run(replace(job, store=store, **changes))
            assert not job.folder.exists() and not (tmp_path / "store").exists()
    tiny.run(job)


def test_whoever_finds_another_run_at_work_takes_nothing_of_it_away(tmp_path: Path) -> None:
    job = tiny.job(tmp_path)
    with locked(job.folder):
        with pytest.raises(TrainingError, match="Another run is at work"):
            tiny.run(job)
        assert (job.folder / "lock").exists()


def test_one_goes_on_or_begins_with_weights_not_both(tmp_path: Path) -> None:
    tiny.run(tiny.job(tmp_path))
    last = tmp_path / "run/last.safetensors"
    with pytest.raises(TrainingError, match=r"--resume goes on with .*--from .*last\.safetensors begins with others"):
        tiny.run(tiny.job(tmp_path, resume=True, start_from=last))


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    first = tiny.job(tmp_path)

    def tell(event: str, data: dict[str, Any]) -> None:
        if data["step"] == 1:
            with pytest.raises(TrainingError, match="Another run is at work"):
                tiny.run(first)

    loop.train(first, tell)


def test_a_damaged_state_says_how_to_go_on(tmp_path: Path) -> None:
    tiny.run(tiny.job(tmp_path))
    (tmp_path / "run/state.pt").write_bytes(b"torn")
    with pytest.raises(
        TrainingError, match=r"state\.pt is damaged .*another --out with --from .*run/last\.safetensors\.$"
    ):
        tiny.run(tiny.job(tmp_path, resume=True))


def test_what_is_judged_by_is_not_learnt_from(tmp_path: Path) -> None:
    tiny.footage(tmp_path / "data")
    dev = tiny.clips(tmp_path / "dev")
    said = r"--data .* and --dev .* share .*: what is learnt from measures nothing\. Keep them apart"
    for data in (dev, dev / "pictures", dev / "film0.mkv", dev / "pictures/00002.png"):
        with pytest.raises(TrainingError, match=said):
            tiny.run(tiny.job(tmp_path, dev=dev, data=(tmp_path / "data", data)))
    # Nor by another way to it.
    (tmp_path / "data/link").symlink_to(dev / "pictures")
    with pytest.raises(TrainingError, match=said):
        tiny.run(tiny.job(tmp_path, dev=dev))
    (tmp_path / "data/link").unlink()
    with pytest.raises(TrainingError, match=said):
        tiny.run(tiny.job(tmp_path, dev=tiny.clips(tmp_path / "data" / "dev")))
    with pytest.raises(VideoError, match="holds no clips"):
        (tmp_path / "empty").mkdir()
        tiny.run(tiny.job(tmp_path, dev=tmp_path / "empty"))


def test_what_is_written_is_not_learnt_from(tmp_path: Path) -> None:
    job = tiny.job(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for inside in (tmp_path / "data", tmp_path / "data/run", tmp_path / "link/run"):
        with pytest.raises(TrainingError, match=r"--out .* lies within .*data: pictures that are written there would"):
            tiny.run(replace(job, folder=inside))
        with pytest.raises(TrainingError, match=r"--store .* lies within"):
            tiny.run(replace(job, store=inside))
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["film0.mkv"]
    dev = tiny.clips(tmp_path / "dev")
    with pytest.raises(TrainingError, match=r"--out .* lies within .*dev: "):
        tiny.run(replace(job, folder=dev, dev=dev))


def test_an_unknown_method_is_not_trained(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nothing here trains a method 'nobody'"):
        tiny.run(tiny.job(tmp_path, method="nobody"))


# --- First weights ---


def test_first_weights_are_taken_from_a_file(tmp_path: Path) -> None:
    tiny.run(tiny.job(tmp_path))
    last = tmp_path / "run/last.safetensors"
    tiny.run(tiny.job(tmp_path, "next", steps=1, rate=1e-12, start_from=last))
    begun = weights.read(last)
    after = weights.read(tmp_path / "next/last.safetensors")
    assert all(torch.allclose(after[name], begun[name], atol=1e-6) for name in begun)


def test_first_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    tiny.run(tiny.job(tmp_path, "small", steps=1))
    with pytest.raises(TrainingError, match="another architecture than the recipe's network"):
        tiny.run(tiny.job(tmp_path, key=24, start_from=tmp_path / "small/last.safetensors"))
    assert not (tmp_path / "run/state.pt").exists()


@pytest.mark.parametrize("wrong", ["gone", "torn", "no numbers"])
def test_first_weights_that_are_none_show_before_anything_is_decoded(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "first.safetensors"
    if wrong == "torn":
        file.write_bytes(b"torn")
    elif wrong == "no numbers":
        header = weights.Header("kino", {}, "", "", "")
        weights.write(file, {"one": torch.ones(2), "other": torch.tensor([1.0, math.nan])}, header)
    said = r"^\S+ holds values that are no numbers, in other: its" if wrong == "no numbers" else "cannot be read as"
    with pytest.raises(WeightsError, match=said):
        tiny.run(tiny.job(tmp_path, start_from=file))
    assert not (tmp_path / "run").exists() and not (tmp_path / "store").exists()


# --- What goes wrong on the way ---


def spoil(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """From this step on the answer is no number."""
    one = kino.Examples.__getitem__

    def spoilt(self: Any, step: int) -> dict[str, Any]:
        batch = one(self, step)
        if step == at:
            batch["lab"][:, :, 1:] = torch.nan
        return batch

    monkeypatch.setattr(kino.Examples, "__getitem__", spoilt)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, at=2)
    with pytest.raises(TrainingError, match=r"Step 3: the loss is not a number, on .*film0\.mkv"):
        tiny.run(tiny.job(tmp_path))
    assert rows(tmp_path / "run")[-1][0] == 2 and all(np.isfinite(value) for *_, value in rows(tmp_path / "run"))
    assert loop.read_state(tmp_path / "run")["step"] == 2
    kept = weights.read(tmp_path / "run/last.safetensors")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.values())
    monkeypatch.undo()
    tiny.run(tiny.job(tmp_path, resume=True))


def test_what_to_do_about_a_loss_that_is_no_number_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, at=1)
    with pytest.raises(
        TrainingError, match=r"Step 2: .*\. Nothing was saved before\. .* then give the same command again\.$"
    ):
        tiny.run(tiny.job(tmp_path))
    monkeypatch.undo()
    tiny.run(tiny.job(tmp_path, rate=1e-3), stop_at=0)
    spoil(monkeypatch, at=3)
    last = f"{tmp_path}/next/last.safetensors"
    with pytest.raises(TrainingError, match=rf"before is whole\. Lower .* another --out with --from {last}\.$"):
        tiny.run(tiny.job(tmp_path, "next"))
    monkeypatch.undo()
    tiny.run(tiny.job(tmp_path, "third", start_from=Path(last)))


@pytest.mark.parametrize("told", list(kino.TASKS))
def test_a_network_that_diverges_stops_the_run_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setattr(kino, "TASKS", {told: 1.0})
    with pytest.raises(TrainingError, match=r"Step \d: the (loss|gradient) is not a number, on .*film0\.mkv"):
        tiny.run(tiny.job(tmp_path, rate=1e30, steps=8))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize("room", ["weights", "state", "log"])
def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, room: str) -> None:
    first = tiny.job(tmp_path, steps=6)
    with pytest.raises(KeyboardInterrupt):
        tiny.run(first, stop_at=2)
    folder = first.folder
    state, names = (folder / "state.pt").read_bytes(), {path.name for path in folder.iterdir()}
    largest = {
        "weights": (folder / "last.safetensors").stat().st_size - 1000,
        "state": len(state) - 1000,
        "log": (folder / "log.csv").stat().st_size + 10,
    }[room]
    with full_disk(largest), pytest.raises(TrainingError, match=r"could not be saved in .*--resume"):
        tiny.run(replace(first, resume=True))
    assert (folder / "state.pt").read_bytes() == state
    assert weights.read_header(folder / "last.safetensors").method == "kino"
    assert {path.name for path in folder.iterdir()} == names, "nothing half is left"
    tiny.run(replace(first, resume=True))
    whole = replace(first, folder=tmp_path / "whole")
    tiny.run(whole)
    assert equal(tiny.state_of(whole.folder), tiny.state_of(folder))
    assert tiny.files_of(whole.folder) == tiny.files_of(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize("room", ["weights", "state", "recipe", "log"])
def test_a_disk_that_is_full_before_the_first_checkpoint(tmp_path: Path, room: str) -> None:
    job = tiny.job(tmp_path, steps=2)
    tiny.run(replace(job, folder=tmp_path / "whole"))
    largest = {
        "weights": (tmp_path / "whole/last.safetensors").stat().st_size - 1000,
        "state": (tmp_path / "whole/state.pt").stat().st_size - 1000,
        "recipe": 100,
        "log": 600,
    }[room]
    with full_disk(largest), pytest.raises(TrainingError) as caught:
        tiny.run(job)
    said = (
        f"could not be saved in {job.folder}: File too large. Nothing was saved before. Mend that, then give the same "
    )
    assert said + "command again." in str(caught.value) and "Errno" not in str(caught.value)
    tiny.run(job)
    assert tiny.files_of(job.folder) == tiny.files_of(tmp_path / "whole")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_store_without_room_says_so(tmp_path: Path) -> None:
    job = tiny.job(tmp_path)
    with (
        full_disk(1000),
        pytest.raises(TrainingError, match=r"decoded into .*store: File too large\. .*another --store"),
    ):
        tiny.run(job)
    assert not job.folder.exists() and not (tmp_path / "store").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        TrainingError, match=r"file/run cannot be a run's folder: Not a directory\. Name another --out\."
    ):
        tiny.run(replace(tiny.job(tmp_path), folder=tmp_path / "file/run"))


# --- Several processes ---


def two_processes(*words: object) -> subprocess.CompletedProcess[str]:
    """What `torchrun` starts twice: a file, or -m and a module, and its words."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port),
         *map(str, words)],
        env=environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no processes")
def test_two_processes_do_what_one_does(tmp_path: Path) -> None:
    both, alone = (replace(tiny.job(tmp_path, name, steps=2), store=None) for name in ("both", "alone"))
    words = ["train", both.recipe, "--data", both.data[0], "--out", both.folder, "--device", "cpu"]
    done = two_processes("-m", "kinochrome", *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("done: ") == 1, "one process speaks"
    tiny.run(alone)
    ours, theirs = (loop.read_state(job.folder) for job in (both, alone))
    assert all(bool(torch.isfinite(tensor).all()) for tensor in ours["network"].values())
    # The mean of the gradients. The weights themselves go by its sign at first, however near to 0 it is.
    mean, expected = (
        {key: one["exp_avg"] for key, one in state["optimizer"]["state"].items()} for state in (ours, theirs)
    )
    assert set(mean) == set(expected)
    assert max(float(one.abs().max()) for one in expected.values()) > 1e-3, "or nothing would be compared"
    for key, one in mean.items():
        torch.testing.assert_close(one, expected[key], rtol=1e-3, atol=1e-6)
    logged = {name: value for _, name, value in rows(alone.folder)}
    assert {name: value for _, name, value in rows(both.folder)}.keys() == logged.keys()
    assert {path.name for path in (both.folder / "store").iterdir()} == {
        path.name for path in (alone.folder / "store").iterdir()
    }


DUEL = """
import sys
from pathlib import Path
from kinochrome.training import loop
from tests.training import tiny
loop._task_of = lambda method, recipe: tiny.Duel
recipe, data, folder = map(Path, sys.argv[1:])
loop.train(loop.Job(recipe, (data,), folder), lambda event, told: None)
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no processes")
def test_two_processes_share_the_gradients_of_the_critic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both, alone = (replace(dueling(tmp_path, name, steps=2), store=None) for name in ("both", "alone"))
    (tmp_path / "duel.py").write_text(DUEL)
    done = two_processes(tmp_path / "duel.py", both.recipe, both.data[0], both.folder)
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(loop, "_task_of", lambda method, recipe: tiny.Duel)
    tiny.run(alone)
    ours, theirs = (loop.read_state(job.folder)["critic"]["optimizer"]["state"] for job in (both, alone))
    assert max(float(one["exp_avg"].abs().max()) for one in theirs.values()) > 1e-2, "or nothing would be compared"
    for key, one in ours.items():
        torch.testing.assert_close(one["exp_avg"], theirs[key]["exp_avg"], rtol=1e-3, atol=1e-5)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    wanted = tiny.job(tmp_path, batch=3)
    with pytest.raises(TrainingError, match="batch of 3 cannot be shared evenly by 2"):
        loop._check(wanted, loop.read(wanted.recipe), processes.Processes(0, 2))
