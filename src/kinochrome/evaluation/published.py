"""Tables that papers have printed, as data, and which of their rows may stand beside a report."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kinochrome.errors import MethodError

from .data_sets import DATA_SETS, data_set

DOUBTFUL = "†"


@dataclass(frozen=True)
class Column:
    """What a paper's column corresponds to here."""

    name: str
    """As printed."""
    metric: str = ""
    """Ours of the same definition; empty where nothing of ours may stand beside it."""
    mean: str = ""
    """`mean` or `frame_mean`: which of ours is made as theirs; empty where the paper does not say."""
    differs: str = ""
    """What still differs, or is inferred."""
    why: str = ""
    """Why no metric corresponds."""


@dataclass(frozen=True)
class Row:
    """A method in a table."""

    method: str
    protocol: str
    """One of ours, with the options that belong to it; empty where it is none of ours."""
    values: dict[tuple[str, str], str]
    """(data set, column) -> as printed, † behind what is doubtful; what is missing is not there."""


@dataclass(frozen=True)
class Table:
    """A table of a paper."""

    paper: str
    title: str
    source: str
    number: str
    about: str
    notes: tuple[str, ...]
    apart: str
    """Why some rows follow none of our protocols."""
    ablation: bool
    """Variants of one method: they never stand in a report."""
    data: tuple[str, ...]
    """Official lists by our names, others by theirs; one empty name where no film is scored."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Extract:
    """The part of a table that may stand beside a report."""

    table: Table
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Beside:
    """What may stand beside a report."""

    data: str
    protocol: str
    extracts: tuple[Extract, ...]
    why: str = ""
    """Why nothing may; empty where something does."""


@functools.lru_cache(maxsize=1)
def tables() -> tuple[Table, ...]:
    """All tables, in the order of the file."""
    told = tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))
    return tuple(_table(one, told["papers"][one["paper"]]) for one in told["tables"])


def _table(told: dict, paper: dict) -> Table:
    columns = tuple(Column(name, **paper["columns"][name]) for name in told["columns"])
    data = tuple(told["data"]) or ("",)
    places = [(name, column.name) for name in data for column in columns]
    rows = []
    for row in told["rows"]:
        cells = [cell.strip() for cell in row["values"].split("|")]
        values = {place: cell for place, cell in zip(places, cells, strict=True) if cell != "-"}
        rows.append(Row(row["method"], row.get("protocol", told.get("protocol", "")), values))
    return Table(
        told["paper"],
        paper["title"],
        paper["source"],
        told["number"],
        told["title"],
        tuple(filter(None, (paper["note"], told.get("note", "")))),
        told.get("apart", ""),
        told.get("ablation", False),
        data,
        columns,
        tuple(rows),
    )


def number(text: str) -> float:
    """The figure of a printed value, doubtful or not."""
    return float(text.removesuffix(DOUBTFUL))


def check(data: str) -> None:
    """An error where there are no published figures on such a data set; an empty name asks for none."""
    known = sorted({name for table in tables() for name in table.data if name in DATA_SETS})
    if data and data not in known:
        raise MethodError(
            f"--published {data}: there are no published figures on that. There are on: {', '.join(known)}."
        )


def beside(data: str, protocol: str, metrics: Collection[str], clips: Mapping[str, int]) -> Beside | None:
    """What may stand beside figures of these metrics and clips; None where `data` is empty.

    `protocol` comes with the options that change what its figures mean; `clips` says how many frames each has.
    """
    if not data:
        return None
    if why := _other_clips(data, clips):
        return Beside(data, protocol, (), why)
    extracts = tuple(filter(None, (_extract(table, data, protocol, metrics) for table in tables())))
    why = "" if extracts else f"No table has figures of these metrics on {data} under the protocol {protocol}."
    return Beside(data, protocol, extracts, why)


def _other_clips(data: str, clips: Mapping[str, int]) -> str:
    """Why these clips are not the official list; empty where they are."""
    wanted = data_set(data).clips
    missing = [clip for clip in wanted if clip not in clips]
    foreign = [clip for clip in clips if clip not in wanted]
    odd = [clip for clip, count in wanted.items() if clips.get(clip, count) != count]
    if not missing and not foreign and not odd:
        return ""
    faults = [f"lacks {_some(missing)}"] * bool(missing) + [f"has {_some(foreign)} besides"] * bool(foreign)
    faults += [f"has another number of frames in {_some(odd)}"] * bool(odd)
    return f"Published figures are means over all {len(wanted)} clips of {data}; this report {' and '.join(faults)}."


def _some(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _extract(table: Table, data: str, protocol: str, metrics: Collection[str]) -> Extract | None:
    if table.ablation or data not in table.data:
        return None
    columns = tuple(column for column in table.columns if column.metric in metrics)
    rows = tuple(
        row
        for row in table.rows
        if row.protocol == protocol and any((data, column.name) in row.values for column in columns)
    )
    return Extract(table, columns, rows) if rows else None


def as_json(found: Beside) -> dict:
    """What stands beside, as data: figures as numbers, doubtful ones named."""
    return {
        "data": found.data,
        "protocol": found.protocol,
        "why": found.why,
        "tables": [_extract_as_json(one, found.data) for one in found.extracts],
    }


def _extract_as_json(one: Extract, data: str) -> dict:
    cells = [
        (row.method, column.metric, text)
        for row in one.rows
        for column in one.columns
        if (text := row.values.get((data, column.name)))
    ]
    methods: dict[str, dict[str, float]] = {row.method: {} for row in one.rows}
    for method, metric, text in cells:
        methods[method][metric] = number(text)
    return {
        "paper": one.table.paper,
        "source": one.table.source,
        "table": one.table.number,
        "notes": list(one.table.notes),
        "differs": {column.metric: column.differs for column in one.columns if column.differs},
        "mean": {column.metric: column.mean or None for column in one.columns},
        "methods": methods,
        "doubtful": [[method, metric] for method, metric, text in cells if text.endswith(DOUBTFUL)],
    }
