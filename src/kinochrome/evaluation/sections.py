"""Published figures as a reader sees them: a table a paper, with ours beneath, and what to know before comparing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .published import Column, Extract
from .table import Evaluation, shown, title

MEANS = {"mean": "mean of clips", "frame_mean": "mean of frames", "": "mean not stated; ours of clips"}


@dataclass(frozen=True)
class Section:
    """One table and what belongs to it."""

    title: str
    head: list[str]
    theirs: list[list[str]]
    ours: list[list[str]]
    notes: list[str]


def opening(found: Evaluation) -> str:
    """The sentence above the published figures, or why there are none; empty where none were asked for."""
    if found.published is None:
        return ""
    if found.published.why:
        return f"Nothing stands here. {found.published.why}"
    return (
        f"Copied from papers, not measured here: figures on all of {found.published.data}, under the protocol "
        f"{found.published.protocol} and with the same definition of each metric. Training, software and what the "
        "notes name still differ, so that small differences mean nothing; only one run of all methods on the same "
        "frames compares them."
    )


def sections(found: Evaluation) -> Iterator[Section]:
    """A section a published table that may stand beside the report."""
    if found.published is None:
        return
    for one in found.published.extracts:
        yield _section(found, one, found.published.data)


def _section(found: Evaluation, one: Extract, data: str) -> Section:
    head = [f"{title(column.metric)} ({MEANS[column.mean]})" for column in one.columns]
    theirs = [[row.method, *(row.values.get((data, column.name), "-") for column in one.columns)] for row in one.rows]
    ours = [[row, *(_ours(found, row, column) for column in one.columns)] for row in found.scores if row != "truth"]
    notes = [*one.table.notes]
    notes += [f"{column.metric}: {column.differs}." for column in one.columns if column.differs]
    notes += [f"Clips left out here as too short: {len(found.skipped)}."] * bool(found.skipped)
    return Section(f"{one.table.paper}, table {one.table.number} ({one.table.source})", head, theirs, ours, notes)


def _ours(found: Evaluation, row: str, column: Column) -> str:
    means = found.frame_means if column.mean == "frame_mean" else found.means
    return shown(means[row][column.metric])
