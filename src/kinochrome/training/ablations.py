"""Ablations: what each part of a method brings, found by training without it. Nothing is switched off afterwards.

A study lives in one folder:

    recipes/           the recipe and each of its ablations, each a recipe of its own
    runs/              the training of each, as `kinochrome train` leaves it
    reports/           the evaluation of each, as `kinochrome evaluate` leaves it
    store/             the decoded data, for all of them
    ablations.md       the table; .csv and .json hold it for programs
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2

from kinochrome import chain, methods, weights
from kinochrome.errors import TrainingError
from kinochrome.evaluation import evaluate, footage, report, table
from kinochrome.evaluation.score import place
from kinochrome.evaluation.table import Evaluation, title
from kinochrome.project import write_atomically

from . import loop
from . import recipe as recipes
from .data import Footage, check_apart, check_outside
from .folder import is_begun
from .loop import Tell
from .recipe import Recipe

COMPLETE = "complete"
"""The row of the recipe itself."""
BASELINES = ("grey", "copy", "truth")
"""Rows of every evaluation, the same for all variants."""
NOTE = (
    "Every variant was trained anew, from the same seed and for the same number of steps; its weights say so in their "
    "header. One training each: a difference no larger than that between two seeds means nothing."
)
EXAMPLE = '[ablations."without recall"], and below it loss = {recall = 0.0}'


@dataclass(frozen=True)
class Study:
    """What was asked for."""

    recipe: Path
    data: tuple[Path, ...]
    """What every variant learns from."""
    job: evaluate.Job
    """What every variant is measured by, without a method; its `out` is the study's folder."""
    steps: int | None = None
    """Of every training; None: as many as the recipe says."""


@dataclass(frozen=True)
class Variant:
    """The recipe, or one of its ablations, with its own places in the study's folder."""

    name: str
    text: str
    """Its whole recipe, as the file that it is trained from."""
    recipe: Recipe
    said: str
    """Where what it says stands, for errors."""
    overrides: Mapping[str, Mapping[str, Any]]
    """What it says otherwise: table -> key -> value."""
    slug: str
    study: Path

    @property
    def file(self) -> Path:
        return self.study / "recipes" / f"{self.slug}.toml"

    @property
    def run(self) -> Path:
        return self.study / "runs" / self.slug

    @property
    def report(self) -> Path:
        return self.study / "reports" / self.slug

    @property
    def weights(self) -> Path:
        """The averaged weights after the last step, in one file or in shards."""
        whole = self.run / "last.safetensors"
        return whole if whole.exists() else whole.with_suffix("")


@dataclass(frozen=True)
class Findings:
    """The table of a study."""

    study: Study
    variants: list[Variant]
    evaluation: Evaluation
    """Its rows are the variants and the baselines."""

    @property
    def metrics(self) -> tuple[str, ...]:
        return self.evaluation.metrics

    @property
    def heading(self) -> str:
        run = self.variants[0].recipe.run
        return f"Ablations of {self.study.recipe.stem}: {run.steps} steps, batch {run.batch}, seed {run.seed}"

    def steps(self, row: str) -> int | None:
        """Of its training; None for what is not trained."""
        return next((one.recipe.run.steps for one in self.variants if one.name == row), None)

    def lines(self) -> Iterator[tuple[str, str, list[tuple[str, bool]]]]:
        """(row's name, its steps, the shown mean of each metric and whether it is best)."""
        for row, (name, cells) in zip(self.evaluation.scores, table.rows(self.evaluation), strict=True):
            yield name, str(self.steps(row) or "-"), cells

    def notes(self) -> list[str]:
        """What a reader must know to read the table."""
        return [NOTE, *table.notes(self.evaluation)]


def run(study: Study, tell: Tell) -> Findings:
    """Trains and measures what is not yet; `tell` hears ("variant", name), the loop's events and ("scored", frames)."""
    variants = variants_of(study)
    _check(study, variants)
    built = _built(study, variants)
    found: dict[str, Evaluation] = {}
    for number, variant in enumerate(variants, 1):
        tell("variant", {"name": variant.name, "number": number, "count": len(variants)})
        _train(study, variant, tell)
        _check_weights(variant, built[variant.name])
        found[variant.name] = _evaluated(study, variant, variants[0].report, tell)
    return Findings(study, variants, _together(study, variants, found))


# --- What is to be trained ---


def variants_of(study: Study) -> list[Variant]:
    """The recipe, then its ablations in order; whatever is wrong in any of them is an error."""
    tables = recipes.tables_of(study.recipe)
    ablations = recipes.parse(tables, study.recipe).ablations
    if not ablations:
        raise TrainingError(f"{study.recipe} has no table [ablations], so there is nothing to compare: add {EXAMPLE}.")
    if study.steps is not None:
        tables = {**tables, "run": {**tables["run"], "steps": study.steps}}
    found: dict[str, Variant] = {}
    for name in ("", *ablations):
        own = recipes.ablated(tables, name)
        slug = re.sub(r"[\W_]+", "-", name or COMPLETE).strip("-").lower()
        where = f"{study.recipe}, ablation {name!r}" if name else str(study.recipe)
        if slug in found or slug in BASELINES or not slug:
            raise TrainingError(f"{where}: {name!r} is the name of another row, or none. Call it otherwise.")
        recipe = recipes.parse(own, where)
        text = recipes.written(own)
        found[slug] = Variant(name or COMPLETE, text, recipe, where, ablations.get(name, {}), slug, study.job.out)
    return [*found.values()]


def _check(study: Study, variants: list[Variant]) -> None:
    """What can be known to fail before hours of training."""
    method, job = variants[0].recipe.run.method, study.job
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise TrainingError("Ablations are trained by one process: leave out torchrun.")
    if "weights" not in {one.name for one in fields(methods.load(method).Options)}:
        raise TrainingError(f"{study.recipe}: {method} has no option `weights` to measure what was trained by.")
    if f"{method}.weights" in job.options:
        raise TrainingError(f"--set {method}.weights: every variant is measured with its own weights. Leave it out.")
    rules = evaluate.checked(replace(job, methods=(method,)))[0]
    footage.find(job.data, job.clips, rules.stills)
    check_apart(study.data, job.data, ("--train-data", "--data"))
    check_outside(job.out, study.data, "--out")
    for variant in variants:
        loop.check_recipe(variant.recipe, variant.said)
        kept = variant.run / "recipe.toml"
        if kept.exists() and is_begun(variant.run) and kept.read_bytes() != variant.text.encode():
            raise TrainingError(
                f"{variant.run} was trained by another recipe than {variant.name!r} is now ({kept}). Name another "
                "--out, or take that folder away to train it again."
            )


def _built(study: Study, variants: list[Variant]) -> dict[str, dict[str, Any]]:
    """Each variant's options of its network: all are built before the first is trained, so that a bad one shows."""
    read = Footage(study.data, study.job.out / "store")
    found = {}
    for variant in variants:
        variant.file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(variant.file, variant.text.encode())
        found[variant.name] = loop.task_of(variant.recipe, variant.file, read).options
    return found


# --- Training ---


def _train(study: Study, variant: Variant, tell: Tell) -> None:
    """Trains to the end; nothing, where it has been reached."""
    threads = cv2.getNumThreads()
    job = loop.Job(
        recipe=variant.file,
        data=study.data,
        folder=variant.run,
        store=study.job.out / "store",
        device=chain.chosen_device(study.job.device),
        resume=is_begun(variant.run),
    )
    try:
        loop.train(job, tell)
    finally:
        # The loop takes them from OpenCV; what is measured next may have them.
        cv2.setNumThreads(threads)


def _check_weights(variant: Variant, options: dict[str, Any]) -> None:
    """Only weights that say of themselves that this very recipe made them stand in the table."""
    header, steps = weights.read_header(variant.weights), variant.recipe.run.steps
    expected = loop.described(variant.slug, variant.recipe, steps)
    same_network = header.options == json.loads(json.dumps(options))
    if header.method != variant.recipe.run.method or header.recipe != expected or not same_network:
        raise TrainingError(
            f"{variant.weights} was not made by {variant.file} in {steps} steps: its header says {header.recipe}, "
            f"{dict(header.options)}. Take {variant.run} away to train it again."
        )


# --- Measuring ---


def _evaluated(study: Study, variant: Variant, first: Path, tell: Tell) -> Evaluation:
    """The evaluation of a variant's own weights; baselines are shared."""
    method = variant.recipe.run.method
    for row in BASELINES:
        source, target = (place(folder, row, "").parent for folder in (first, variant.report))
        if source != target and source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
    options = {**study.job.options, f"{method}.weights": str(variant.weights.resolve())}
    job = replace(study.job, out=variant.report, methods=(method,), options=options)

    def scored(clip: str, done: int, total: int) -> None:
        tell("scored", {"clip": clip, "done": done, "total": total})

    found = evaluate.evaluate(job, scored)
    report.write(found, variant.report)
    return found


def _together(study: Study, variants: list[Variant], found: Mapping[str, Evaluation]) -> Evaluation:
    """One evaluation whose rows are the variants, and the baselines once."""
    first, method = found[variants[0].name], variants[0].recipe.run.method
    scores = {name: one.scores[method] for name, one in found.items()}
    scores |= {row: first.scores[row] for row in BASELINES if row in first.scores}
    options = ", ".join(f"{key}={value}" for key, value in study.job.options.items()) or "each method's defaults"
    return replace(first, scores=scores, header={**first.header, "options": options})


# --- As files ---


def write(found: Findings, folder: Path) -> list[Path]:
    """ablations.md, .csv and .json; each there completely or not at all."""
    texts = {
        "ablations.md": _as_markdown(found),
        "ablations.csv": _as_csv(found),
        "ablations.json": json.dumps(_as_json(found), indent=1, ensure_ascii=False, allow_nan=False),
    }
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in texts]


def _as_markdown(found: Findings) -> str:
    """How all were trained and measured, what each variant says otherwise, and the table."""
    lines = [f"# {found.heading}", "", f"- **trained on**: {_data_names(found.study)}"]
    for variant in found.variants[1:]:
        said = [f"{name}.{key} = {value!r}" for name, keys in variant.overrides.items() for key, value in keys.items()]
        lines.append(f"- **{variant.name}**: {', '.join(said)}")
    lines += [f"- **{key}**: {text}" for key, text in found.evaluation.header.items()]
    body = [
        [name, steps, *(f"**{text}**" if best else text for text, best in cells)]
        for name, steps, cells in found.lines()
    ]
    lines += ["", *table.markdown_table(["", "steps", *map(title, found.metrics)], body), ""]
    return "\n".join([*lines, *(f"- {note}" for note in found.notes()), ""])


def _as_csv(found: Findings) -> str:
    """A line a row: the means in full precision."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["variant", "steps", *found.metrics])
    for row, figures in found.evaluation.means.items():
        means = [figures[name] for name in found.metrics]
        out.writerow([row, found.steps(row) or "", *("" if one is None else repr(float(one)) for one in means)])
    return text.getvalue()


def _as_json(found: Findings) -> dict[str, Any]:
    """The training, what each variant is and where it lies, and the evaluation as data."""
    run = found.variants[0].recipe.run
    return {
        "recipe": found.study.recipe.stem,
        "training": {
            "method": run.method,
            "steps": run.steps,
            "batch": run.batch,
            "seed": run.seed,
            "data": [path.name for path in found.study.data],
        },
        "variants": {
            one.name: {
                "steps": one.recipe.run.steps,
                "overrides": {table: dict(keys) for table, keys in one.overrides.items()},
                "weights": one.weights.relative_to(one.study).as_posix(),
            }
            for one in found.variants
        },
        "evaluation": table.as_json(found.evaluation),
    }


def _data_names(study: Study) -> str:
    return ", ".join(path.name for path in study.data)
