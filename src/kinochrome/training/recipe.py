"""Recipes: one TOML file says all that makes a training run; nothing is left to be remembered."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import tomllib
import typing
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from kinochrome.errors import TrainingError, did_you_mean
from kinochrome.types import Count, Range, Share

SHIPPED = Path(__file__).parent / "recipes"
ABLATED = ("critic", "lesson", "loss", "network", "optimizer")
"""The tables that an ablation may say otherwise: not how long a run is, or what it begins from."""

Above0 = Annotated[float, Range(above=0)]
AtLeast0 = Annotated[float, Range(0)]
Whole = Annotated[int, Range(0)]
Beta = Annotated[float, Range(0, below=1)]
"""How much of its running mean AdamW keeps at each step."""


@dataclass(frozen=True)
class Run:
    """How long, how much at once, what is watched."""

    method: str
    """Whose network is trained: a module of `kinochrome.training`."""
    steps: Count
    """Updates of the weights."""
    batch: Count = 4
    """Examples an update, over all processes."""
    seed: Annotated[int, Range(0, 2**64 - 1)] = 1
    """Of the examples; the first weights come from it, too."""
    workers: Whole = 1
    """Processes that prepare examples; 0 prepares them between the steps."""
    save_every: Count = 50
    """Steps between two checkpoints."""
    judge_every: Count = 500
    """Steps between two measurements on the development clips, with pictures."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the network's arithmetic; weights are always float32."""
    licence: str = "Apache-2.0"
    """Goes into the weights' header."""
    shard_megabytes: Whole = 0
    """Weights are written in files of at most so many megabytes; 0 writes one."""

    @property
    def shard(self) -> int | None:
        """Bytes of the largest file of weights; None for any."""
        return self.shard_megabytes * 1_000_000 or None


@dataclass(frozen=True)
class Optimizer:
    """AdamW and its schedule: up over `warmup` steps, then down along half a cosine, or by steps."""

    rate: Above0 = 5e-4
    """The highest learning rate."""
    rates: dict[str, AtLeast0] = field(default_factory=dict)
    """That of parts of the network, by the beginning of their parameters' names; all else has `rate`."""
    warmup: Whole = 100
    """Steps until the highest rate is reached."""
    floor: Share = 0.02
    """Share of the rate that is left at the last step of the cosine."""
    falls: tuple[tuple[float, float], ...] = ()
    """Down by steps, not along the cosine: from which share of the steps on, on which share of the rate."""
    decay: AtLeast0 = 0.01
    """Weight decay."""
    momentum: tuple[Beta, Beta] = (0.9, 0.99)
    """AdamW's betas."""
    clip: Above0 = 0.5
    """Longer gradients are shortened to this."""
    average: Share = 0.998
    """The weights that are judged and shipped follow the trained ones by 1 minus this a step."""


@dataclass(frozen=True)
class Critic:
    """AdamW of what the network learns against, for methods that have such; its rate goes as that of [optimizer]."""

    rate: Above0 = 1e-4
    """The highest learning rate."""
    decay: AtLeast0 = 0.0
    """Weight decay."""
    momentum: tuple[Beta, Beta] = (0.5, 0.999)
    """AdamW's betas."""
    clip: Above0 = 1.0
    """Longer gradients are shortened to this."""


@dataclass(frozen=True)
class Recipe:
    """A whole run."""

    run: Run
    optimizer: Optimizer = field(default_factory=Optimizer)
    network: dict[str, Any] = field(default_factory=dict)
    """Options of the network; they go into the weights' header."""
    lesson: dict[str, Any] = field(default_factory=dict)
    """What examples are made of; the method's training knows the keys."""
    loss: dict[str, float] = field(default_factory=dict)
    """Weight of each term of the loss."""
    critic: Critic | None = None
    """None: the recipe says nothing of it, and a method with a critic has the defaults."""
    ablations: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Name -> table -> what it says there instead: see `ablations.py`."""


def find(name: str) -> Path:
    """A recipe file, by its path or by the name of one that comes with Kinochrome."""
    if name.endswith(".toml"):
        return Path(name)
    shipped = {path.stem: path for path in SHIPPED.glob("*.toml")}
    if name not in shipped:
        raise TrainingError(f"There is no recipe {name!r}. With Kinochrome come: {', '.join(sorted(shipped))}.")
    return shipped[name]


def read(path: Path) -> Recipe:
    """The recipe of a file; TrainingError for a key that is unknown, missing or of the wrong kind."""
    return parse(tables_of(path), path)


def tables_of(path: Path) -> dict[str, Any]:
    """What a recipe file says, unchecked."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise TrainingError(f"{path} cannot be read as a recipe: {why}. Check the path, or mend the file.") from error


def parse(tables: dict[str, Any], path: Path | str) -> Recipe:
    """The recipe that a file's tables are, its ablations checked as it is itself."""
    known = {one.name for one in dataclasses.fields(Recipe)}
    _check_keys(path, "", tables, known)
    if "run" not in tables:
        raise TrainingError(f"{path}: the table [run] is missing. It says at least: method, steps.")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise TrainingError(f"{path}: {name} = {table!r} must be a table: [{name}], and its keys below.")
    run = build(Run, tables["run"], path, "run")
    optimizer = build(Optimizer, tables.get("optimizer", {}), path, "optimizer")
    _check_falls(optimizer, path)
    recipe = Recipe(
        run,
        optimizer,
        tables.get("network", {}),
        tables.get("lesson", {}),
        _fitting(f"{path}: loss", tables.get("loss", {}), dict[str, AtLeast0]),
        build(Critic, tables["critic"], path, "critic") if "critic" in tables else None,
        tables.get("ablations", {}),
    )
    for name in recipe.ablations:
        _check_ablation(recipe, tables, name, path)
    return recipe


def _check_falls(optimizer: Optimizer, path: Path | str) -> None:
    """They come in their order, within the run, and leave something of the rate."""
    before = -math.inf
    for share, factor in optimizer.falls:
        fall = f"{path}: optimizer.falls has {[share, factor]}"
        # Put so that what is no number is caught, too.
        if not 0 <= share <= 1:
            raise TrainingError(f"{fall}: its first number is a share of the steps, from 0 to 1.")
        if share <= before:
            raise TrainingError(f"{fall} after one at {before}: the shares of the steps must rise.")
        if not 0 < factor < math.inf:
            raise TrainingError(f"{fall}: its second number is a share of the rate, above 0.")
        before = share


def ablated(tables: dict[str, Any], name: str = "") -> dict[str, Any]:
    """A recipe's tables with what one of its ablations says instead, key by key; without a name: with none."""
    overrides = tables["ablations"][name] if name else {}
    kept = {table: keys for table, keys in tables.items() if table != "ablations"}
    return kept | {table: kept.get(table, {}) | keys for table, keys in overrides.items()}


def _check_ablation(recipe: Recipe, tables: dict[str, Any], name: str, path: Path | str) -> None:
    """It overrides what there is, by what is allowed there, and makes a difference."""
    where, overrides = f"{path}, ablation {name!r}", recipe.ablations[name]
    if not isinstance(overrides, dict) or not overrides:
        raise TrainingError(f'{where}: write a table [ablations."{name}"], and below it such as loss = {{edge = 0.0}}.')
    _check_keys(where, "ablations", overrides, ABLATED)
    for table, keys in overrides.items():
        if not isinstance(keys, dict):
            raise TrainingError(f"{where}: {table} = {keys!r} must be a table: {table} = {{KEY = VALUE}}.")
    if _effective(parse(ablated(tables, name), where)) == _effective(recipe):
        raise TrainingError(f"{where} changes nothing: the recipe says the same already.")


def _effective(recipe: Recipe) -> Recipe:
    """Without what makes no difference to a run: a term that weighs nothing is none."""
    return dataclasses.replace(recipe, loss={key: one for key, one in recipe.loss.items() if one}, ablations={})


def written(tables: dict[str, Any]) -> str:
    """Tables as a recipe file; read again, they are the same."""
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)} = {_value(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        # TOML's strings are JSON's, but for this one character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    # Dates and times are themselves in the form that TOML has.
    return str(value).lower() if isinstance(value, bool) else str(value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def build(kind: type, table: dict[str, Any], path: Path | str, name: str) -> Any:
    """A dataclass from one of a recipe's tables; no key is unknown, none is missing, each is what it may be."""
    fields = {one.name: one for one in dataclasses.fields(kind)}
    _check_keys(path, name, table, set(fields))
    required = [n for n, one in fields.items() if one.default is one.default_factory is dataclasses.MISSING]
    if missing := [key for key in required if key not in table]:
        raise TrainingError(f"{path}: [{name}] lacks {', '.join(missing)}.")
    kinds = typing.get_type_hints(kind, include_extras=True)
    return kind(**{key: _fitting(f"{path}: {name}.{key}", value, kinds[key]) for key, value in table.items()})


def _fitting(where: str, value: Any, kind: Any) -> Any:
    """The value as its kind: whole numbers serve as numbers, lists as tuples; so do those within lists and tables."""
    if typing.get_origin(kind) is Annotated:
        value, allowed = _fitting(where, value, typing.get_args(kind)[0]), typing.get_args(kind)[1]
        if not allowed.holds(value):
            finite = "" if math.isfinite(value) else "a finite number, "
            raise TrainingError(f"{where} = {value!r} must be {finite}{allowed}.")
        return value
    if typing.get_origin(kind) is Literal:
        # `in` would take true for 1.
        if not any(one == value and type(one) is type(value) for one in typing.get_args(kind)):
            raise TrainingError(f"{where} = {value!r}: choose one of {', '.join(map(repr, typing.get_args(kind)))}.")
        return value
    if typing.get_origin(kind) is tuple:
        parts = typing.get_args(kind)
        if not isinstance(value, list):
            raise TrainingError(f"{where} = {value!r} must be a list.")
        if parts[1:] == (...,):
            parts = parts[:1] * len(value)
        if len(value) != len(parts):
            raise TrainingError(f"{where} = {value!r} must be a list of {len(parts)}.")
        return tuple(_fitting(where, one, part) for one, part in zip(value, parts, strict=True))
    if typing.get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise TrainingError(f"{where} = {value!r} must be a table: {{NAME = VALUE}}.")
        part = typing.get_args(kind)[1]
        return {key: _fitting(f"{where}.{key}", one, part) for key, one in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TrainingError(f"{where} = {value!r} must be of the kind {kind.__name__}.")
    return value


def _check_keys(path: Path | str, table: str, given: dict[str, Any], known: Collection[str]) -> None:
    for key in given:
        if key not in known:
            where = f"[{table}] has" if table else "it has"
            hint = did_you_mean(key, known)
            raise TrainingError(f"{path}: there is no {key!r}{hint} The keys that {where}: {', '.join(sorted(known))}.")
