"""The training loop: one for every method, on one processor or many, stopped and resumed without a trace.

A run lives in one folder:

    recipe.toml        what it is
    log.csv            step, name, value: every figure, in the order it came
    last.safetensors   the averaged weights at the last checkpoint, with a full header
    best.safetensors   those that did best on the development clips
    state.pt           all that a resumed run needs
    pictures/          what the development clips looked like
    tensorboard/       the figures once more, where TensorBoard is installed
    store/             the decoded data, unless another place was named
    lock               held while a run is at work here
"""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import cv2
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from kinochrome import video, weights
from kinochrome.errors import TrainingError, WeightsError
from kinochrome.evaluation.footage import TrueClip
from kinochrome.project import write_atomically
from kinochrome.types import Method

from . import judge
from .data import Footage, check_apart, check_outside
from .folder import Job, after, anew, opened, read_state
from .log import Log
from .processes import Processes, together, uninterrupted
from .recipe import Critic, Optimizer, Recipe, Run, read

Tell = Callable[[str, dict[str, Any]], None]
"""Hears ("step", figures) and ("judged", figures) as they come, in the first process only."""


class Task(Protocol):
    """What a method's training is to the loop: the module `kinochrome.training.<method>` has a class `Task`."""

    network: nn.Module
    options: dict[str, Any]
    """What the network was built with, for the header."""

    def __init__(self, recipe: Recipe, path: Path, footage: Footage) -> None: ...

    @staticmethod
    def checked(recipe: Recipe, path: Path | str) -> tuple[Any, Any]:
        """The lesson and the network's shape that the recipe says; TrainingError where that cannot be, without data."""
        ...

    def examples(self, process: int, processes: int) -> Dataset[dict[str, Any]]:
        """One batch a step; always the same one for the same step. `names` tells whose it is."""
        ...

    def terms(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The terms of the loss, and what is minimised as `total`."""
        ...

    def method(self, file: Path, device: str) -> Method:
        """The method with the weights of a file, to be judged."""
        ...


class Contest(Task, Protocol):
    """A task whose network learns against a critic, which learns to tell its answers from the truth."""

    critic: nn.Module | None
    """A task that is no contest has none, or no such attribute. It goes to state.pt, never into the weights."""

    def contest(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The critic's own terms and their `total`, on what `terms` of this very batch found, detached."""
        ...


@runtime_checkable
class Begun(Protocol):
    """A task whose network does not begin by chance alone."""

    def begin(self) -> None:
        """Puts in what was learned elsewhere: neither a resumed run nor one with first weights of its own asks it."""
        ...


def train(job: Job, tell: Tell) -> None:
    """Runs a recipe to its end; stopped at any time, it goes on with `resume`."""
    recipe = read(job.recipe)
    with together(job.device) as processes, contextlib.ExitStack() as held:
        _check(job, recipe, processes)
        clips: list[TrueClip] = []
        if processes.first:
            held.enter_context(opened(job))
            if job.dev:
                clips = judge.clips_of(job.dev)
                check_apart(job.data, job.dev, ("--data", "--dev"))
        footage = processes.in_turn(lambda: Footage(job.data, job.store or job.folder / "store"))
        torch.manual_seed(recipe.run.seed)
        task = task_of(recipe, job.recipe, footage)
        job = replace(job, device=processes.device)
        _Run(job, recipe, processes, task, Material(footage.content, clips, judge.content_of(clips))).go(tell)


@dataclass(frozen=True)
class Material:
    """What a run learns from, and what it is judged by."""

    content: str
    """Of the footage."""
    clips: list[TrueClip]
    """In the first process."""
    judging: str | None
    """Of the clips."""


class _Player:
    """A network that learns, with its optimizer: the trained one, or its critic."""

    def __init__(self, network: nn.Module, options: Optimizer | Critic, run: Run, device: str) -> None:
        self.network, self.clip = network.to(device).train(), options.clip
        # A critic of films may have kernels in time, too, of which there is no such order. With it a CPU takes a tenth
        # less time in float32, and twice as much in bfloat16.
        slow = torch.device(device).type == "cpu" and run.precision == "bfloat16"
        if not slow and all(one.dim() < 5 for one in network.parameters()):
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        groups = groups_of(network, options)
        # Not kept in the optimizer: its groups become those of the state that it goes on from.
        self.rates = [rate for rate, _ in groups]
        self.optimizer = torch.optim.AdamW(
            [{"params": learning, "lr": rate} for rate, learning in groups],
            weight_decay=options.decay,
            betas=options.momentum,
        )
        self.scaler = torch.amp.GradScaler(torch.device(device).type, enabled=run.precision == "float16")

    def learn(self, loss: Tensor, share: float, processes: Processes) -> float:
        """The length of the gradient that the weights followed, each at this share of its highest rate.

        FloatingPointError, and nothing done, without one.
        """
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * share
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        # Before it is unscaled: what overflows in one process must be seen by all.
        processes.share_gradients(self.network)
        self.scaler.unscale_(self.optimizer)
        length = float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip))
        if not bool(torch.isfinite(loss)):
            raise FloatingPointError("loss")
        # A scaler passes over a gradient that overflows, and scales the next one less.
        if not (math.isfinite(length) or self.scaler.is_enabled()):
            raise FloatingPointError("gradient")
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return length

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Here it gives gradients to others and collects none itself."""
        learning = [one for one in self.network.parameters() if one.requires_grad]
        try:
            for one in learning:
                one.requires_grad_(False)
            yield
        finally:
            for one in learning:
                one.requires_grad_(True)

    def state(self) -> dict[str, Any]:
        """What it goes on from."""
        return {name: getattr(self, name).state_dict() for name in ("network", "optimizer", "scaler")}

    def restore(self, state: dict[str, Any]) -> None:
        for name in ("network", "optimizer", "scaler"):
            getattr(self, name).load_state_dict(state[name])


class _Run:
    """The state of a run between two steps."""

    def __init__(self, job: Job, recipe: Recipe, processes: Processes, task: Task, material: Material) -> None:
        self.job, self.recipe, self.processes, self.task, self.material = job, recipe, processes, task, material
        if job.start_from:
            _start_from(task.network, job.start_from)
        elif not job.resume and isinstance(task, Begun):
            task.begin()
        self.player = _Player(task.network, recipe.optimizer, recipe.run, job.device)
        self.average = {name: tensor.detach().clone() for name, tensor in task.network.state_dict().items()}
        critic, options = critic_of(task), recipe.critic or Critic()
        self.critic = _Player(critic, options, recipe.run, job.device) if critic is not None else None
        self.step, self.judged, self.best = 0, 0, -math.inf
        if job.resume:
            self._restore()
        self.log = self._logged() if processes.first else None

    def go(self, tell: Tell) -> None:
        """From here to the end."""
        run, began, first = self.recipe.run, time.monotonic(), self.step
        tell = tell if self.processes.first else _unheard
        try:
            if self._is_to_be_judged():
                self._keep(tell)
            for batch in self._batches():
                with uninterrupted():
                    figures = self._update(batch)
                    self.step += 1
                    self._note(figures)
                left = (time.monotonic() - began) / (self.step - first) * (run.steps - self.step)
                tell("step", {"step": self.step, "steps": run.steps, "left": left, **figures})
                if self._is_due(run.save_every) or self._is_to_be_judged():
                    self._keep(tell)
        except KeyboardInterrupt:
            self._keep()
            raise
        finally:
            if self.log:
                with self._writing():
                    self.log.close()

    def _is_due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.recipe.run.steps

    def _is_to_be_judged(self) -> bool:
        """A run that was stopped while it was judged is judged when it goes on."""
        return bool(self.material.clips) and self.judged < self.step and self._is_due(self.recipe.run.judge_every)

    def _update(self, batch: dict[str, Any]) -> dict[str, float]:
        """One step of the network, then one of its critic; the figures of this batch."""
        names = batch.pop("names", ())
        batch = {key: one.to(self.job.device) if isinstance(one, Tensor) else one for key, one in batch.items()}
        with self.critic.watching() if self.critic else contextlib.nullcontext():
            terms, length = self._teach(self.player, lambda: self.task.terms(batch), names)
        self._follow(self.recipe.optimizer.average)
        task = f"{batch['task']}/" if "task" in batch else ""
        figures = {f"{task}{name}": value for name, value in terms.items()} | {"gradient": length}
        if self.critic:
            contest = cast(Contest, self.task).contest
            terms, length = self._teach(self.critic, lambda: contest(batch), names)
            figures |= {f"critic/{name}": value for name, value in (terms | {"gradient": length}).items()}
        return figures

    def _teach(
        self, player: _Player, terms_of: Callable[[], dict[str, Tensor]], names: Sequence[str]
    ) -> tuple[dict[str, float], float]:
        """One step of one optimizer; the terms of its loss, and the gradient's length."""
        precision = getattr(torch, self.recipe.run.precision)
        with torch.autocast(torch.device(self.job.device).type, precision, enabled=precision != torch.float32):
            terms = terms_of()
        share = share_of_rate(self.recipe.optimizer, self.step, self.recipe.run.steps)
        try:
            length = player.learn(terms["total"], share, self.processes)
        except FloatingPointError as error:
            whose, table = ("the critic's", "critic") if player is self.critic else ("the", "optimizer")
            mended = f"Lower [{table}] rate, or take that sample out"
            raise TrainingError(
                f"Step {self.step + 1}: {whose} {error} is not a number, on {', '.join(dict.fromkeys(names))}. "
                + after(self.job.folder, mended, anew(self.job.folder))
            ) from error
        return {name: float(value.detach()) for name, value in terms.items()}, length

    @torch.no_grad()
    def _follow(self, average: float) -> None:
        """Moves the averaged weights; at first they follow at once."""
        share = 1 - min(average, (self.step + 1) / (self.step + 10))
        for name, tensor in self.player.network.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, share)
            else:
                self.average[name].copy_(tensor)

    def _batches(self) -> Iterator[dict[str, Any]]:
        """The batches of the steps that are left."""
        examples = self.task.examples(self.processes.rank, self.processes.count)
        workers = self.recipe.run.workers
        # OpenCV's own threads do not come along to a worker, which would wait for them without end.
        cv2.setNumThreads(1)
        left = Subset(examples, range(self.step, self.recipe.run.steps))
        ahead = {"prefetch_factor": 3, "worker_init_fn": _one_thread} if workers else {}
        # A generator of its own: or each beginning would take a number from the one that is saved.
        chance = torch.Generator()
        yield from DataLoader(left, batch_size=None, num_workers=workers, generator=chance, **ahead)  # type: ignore[arg-type]

    # --- What stays on disk ---

    def _logged(self) -> Log:
        """The log from here on; a new run's recipe is kept before."""
        with self._writing():
            if not self.job.resume:
                write_atomically(self.job.folder / "recipe.toml", self.job.recipe.read_bytes())
            return Log(self.job.folder, self.step)

    def _keep(self, judged_to: Tell | None = None) -> None:
        """A checkpoint; with somebody to tell it, the judgement that is due comes with it."""
        if not self.processes.first:
            return
        with uninterrupted():
            self._write_weights("last.safetensors")
        if judged_to and self._is_to_be_judged():
            self._judge(judged_to)
        with uninterrupted():
            self._write_state()

    def _write_weights(self, name: str) -> None:
        tensors = {name: tensor.cpu() for name, tensor in self.average.items()}
        with self._writing():
            weights.write(self.job.folder / name, tensors, self._header(), self.recipe.run.shard)

    def _write_state(self) -> None:
        """All that the next step depends on, there completely or as it was."""
        state = {
            "step": self.step,
            "judged": self.judged,
            "best": self.best,
            "content": self.material.content,
            "judging": self.material.judging,
            "average": self.average,
            "random": torch.get_rng_state(),
            **self.player.state(),
        }
        if self.critic:
            state["critic"] = self.critic.state()
        held = io.BytesIO()
        torch.save(state, held)
        with self._writing():
            write_atomically(self.job.folder / "state.pt", held.getvalue())

    def _note(self, figures: dict[str, float]) -> None:
        if self.log:
            with self._writing():
                self.log.add(self.step, figures)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, WeightsError) as error:
            # What is not about the disk, as a shard that is too small, says by itself what to do.
            cause = error.__cause__ or error
            if not isinstance(cause, OSError):
                raise
            why = cause.strerror or str(cause).rstrip(".")
            raise TrainingError(
                f"Step {self.step} could not be saved in {self.job.folder}: {why}. "
                + after(self.job.folder, "Mend that", "give the same command with --resume")
            ) from error

    def _header(self) -> weights.Header:
        run = self.recipe.run
        words = described(self.job.recipe.stem, self.recipe, self.step)
        data = ", ".join(path.name for path in self.job.data)
        return weights.Header(run.method, self.task.options, run.licence, words, data)

    def _restore(self) -> None:
        state = read_state(self.job.folder)
        self._check_material(state)
        try:
            self.player.restore(state)
            if self.critic:
                self.critic.restore(state["critic"])
        except (KeyError, RuntimeError, ValueError) as error:
            why = str(error).partition("\n")[0].rstrip(".")
            raise TrainingError(
                f"{self.job.folder}: its state is of another network ({why}): {anew(self.job.folder)}."
            ) from error
        self.average = {name: tensor.to(self.job.device) for name, tensor in state["average"].items()}
        self.step, self.best = state["step"], state["best"]
        self.judged = state.get("judged", self.step)
        torch.set_rng_state(state["random"])

    def _check_material(self, state: dict[str, Any]) -> None:
        """States from before either was kept are of whatever is given."""
        if state.get("content", self.material.content) != self.material.content:
            raise TrainingError(
                f"{self.job.folder} was begun with other data: what --data names holds other frames now. Give it what "
                f"it had, or {anew(self.job.folder)}."
            )
        if self.processes.first and state.get("judging") not in (None, self.material.judging):
            given = f"those of --dev {self.job.dev}" if self.job.dev else "none, without --dev"
            raise TrainingError(
                f"{self.job.folder} was begun with other clips to judge by than now ({given}): its best so far was "
                f"found on those. Give --dev what it had, or {anew(self.job.folder)}."
            )

    def _judge(self, tell: Tell) -> None:
        """Measures what is in last.safetensors; the best is kept."""
        file = self.job.folder / "last.safetensors"
        verdict = judge.judge(self.task.method(file, self.job.device), self.material.clips)
        better = verdict.mean > self.best
        with uninterrupted():
            pictures = self.job.folder / "pictures"
            with self._writing():
                pictures.mkdir(exist_ok=True)
                video.write_picture(pictures / f"step-{self.step:07d}.jpg", verdict.picture)
            if better:
                self.best = verdict.mean
                self._write_weights("best.safetensors")
            self._note({f"dev/{name}": value for name, value in verdict.psnr.items()} | {"dev": verdict.mean})
            self.judged = self.step
        tell("judged", {"step": self.step, "psnr": verdict.mean, "best": self.best, "better": better})


def _unheard(event: str, data: dict[str, Any]) -> None:
    pass


def task_of(recipe: Recipe, path: Path, footage: Footage) -> Task:
    """What a recipe trains, its network new; TrainingError for whatever its method does not know."""
    task = _task_of(recipe.run.method, path)(recipe, path, footage)
    # One that has a critic for some recipes only may be told of it in all, as in an ablation of that very loss.
    if recipe.critic and not hasattr(task, "contest"):
        raise TrainingError(f"{path}: {recipe.run.method} learns without a critic. Take out [critic].")
    names = [name for name, _ in task.network.named_parameters()]
    for part in recipe.optimizer.rates:
        if not any(part_of(name, [part]) for name in names):
            there = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            raise TrainingError(f"{path}: optimizer.rates has {part!r}, which the network has not. Its parts: {there}.")
    return task


def check_recipe(recipe: Recipe, path: Path | str) -> None:
    """TrainingError for what of a recipe its method does not know, or cannot do."""
    _task_of(recipe.run.method, path).checked(recipe, path)


def critic_of(task: Task) -> nn.Module | None:
    """What the task's network learns against; None for most."""
    return getattr(task, "critic", None)


def described(name: str, recipe: Recipe, step: int) -> str:
    """How weights were trained, for their header: all that the recipe says of this run."""
    said = {table: keys for table, keys in asdict(recipe).items() if table != "ablations"}
    # Weights from before there were `rates` and `falls` say nothing of them, and are of the same recipe still.
    said["optimizer"] = {key: one for key, one in said["optimizer"].items() if one not in ({}, ())}
    return f"{name}, step {step} of {recipe.run.steps}, {said}"


def groups_of(network: nn.Module, options: Optimizer | Critic) -> list[tuple[float, list[nn.Parameter]]]:
    """What learns at one rate, with its highest; first what no rate of its own is said of."""
    rates = options.rates if isinstance(options, Optimizer) else {}
    groups: dict[str, list[nn.Parameter]] = {part: [] for part in ("", *rates)}
    for name, one in network.named_parameters():
        groups[part_of(name, rates)].append(one)
    return [(rates.get(part, options.rate), learning) for part, learning in groups.items() if learning]


def part_of(name: str, parts: Collection[str]) -> str:
    """The longest of the parts that a parameter is in, '' for none: `eyes` has `eyes.weight`, not `eyesight.weight`."""
    return max((part for part in parts if f"{name}.".startswith(f"{part}.")), key=len, default="")


def share_of_rate(options: Optimizer, step: int, steps: int) -> float:
    """Of the highest rate, for the update after so many."""
    warm = min(1.0, (step + 1) / max(1, options.warmup))
    if options.falls:
        # Divided, not multiplied: 7 / 100 is 0.07, while 0.07 * 100 is more than 7.
        return warm * next((factor for share, factor in reversed(options.falls) if step / steps >= share), 1.0)
    done = min(1.0, max(0, step - options.warmup) / max(1, steps - options.warmup))
    return warm * (options.floor + (1 - options.floor) * 0.5 * (1 + math.cos(math.pi * done)))


def _check(job: Job, recipe: Recipe, processes: Processes) -> None:
    """What can be known to fail before anything is decoded."""
    check_recipe(recipe, job.recipe)
    if recipe.run.batch % processes.count:
        raise TrainingError(
            f"{job.recipe}: a batch of {recipe.run.batch} cannot be shared evenly by {processes.count} processes. "
            "Set run.batch to a multiple of them."
        )
    if job.resume and job.start_from:
        raise TrainingError(
            f"--resume goes on with the weights of {job.folder}, and --from {job.start_from} begins with others. Leave "
            "one of them out."
        )
    if job.start_from:
        # What cannot be read shows now, not after hours of decoding.
        weights.read(job.start_from)
    read_from = (*job.data, *([job.dev] if job.dev else []))
    check_outside(job.folder, read_from, "--out")
    if job.store:
        check_outside(job.store, read_from, "--store")


def _task_of(method: str, recipe: Path | str) -> type[Task]:
    try:
        return importlib.import_module(f"{__package__}.{method}").Task
    except (ModuleNotFoundError, AttributeError) as error:
        raise TrainingError(f"{recipe}: nothing here trains a method {method!r}.") from error


def _start_from(network: nn.Module, file: Path) -> None:
    tensors = weights.read(file)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise TrainingError(f"{file} is of another architecture than the recipe's network: {error}") from error


def _one_thread(worker: int) -> None:
    """Examples are prepared beside the network, which has the threads."""
    torch.set_num_threads(1)
