"""From scored clips to the figures of a table, and which of them may be called best."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kinochrome import metrics
from kinochrome.metrics.metric import Metric

from . import published
from .score import Figures, Scored, mean

MARGIN = 0.1
"""A row whose colourfulness lies below the truth's by more than this share wins no comparison of steadiness."""

STEADINESS = ("cdc", "warp_error", "color_consistency", "fade")
"""What grey and faded film does well in; these and what begins with them."""

ARROWS = {"higher": "↑", "lower": "↓", "truth": "→"}


@dataclass(frozen=True)
class Evaluation:
    """All that was found, and how."""

    protocol: str
    metrics: tuple[str, ...]
    """Those asked for, in order."""
    absent: Mapping[str, str]
    """Metric -> why it was not measured."""
    header: Mapping[str, str]
    """Every choice behind the figures."""
    skipped: Mapping[str, str]
    """Clip -> why it was left out."""
    scores: Mapping[str, Mapping[str, Scored]]
    """Row -> clip -> what is known."""
    published: published.Beside | None = None
    """Published figures, where they were asked for."""

    @property
    def measured(self) -> list[str]:
        return [name for name in self.metrics if name not in self.absent]

    @cached_property
    def means(self) -> dict[str, Figures]:
        """Row -> metric -> mean of its clips' figures."""
        return {row: {name: self._mean(row, name) for name in self.metrics} for row in self.scores}

    @cached_property
    def frame_means(self) -> dict[str, Figures]:
        """Row -> metric -> mean over all frames; None where a clip's figure is not a mean of its frames'."""
        return {row: {name: self._frame_mean(row, name) for name in self.metrics} for row in self.scores}

    def figure(self, row: str, clip: str, name: str) -> float | None:
        """A row's figure on a clip."""
        return self.scores[row][clip].figures.get(name)

    def is_infinite(self, row: str, name: str, clip: str | None = None) -> bool:
        """Nothing differed from the truth in this clip, or without one in any."""
        clips = self.scores[row].values() if clip is None else [self.scores[row][clip]]
        perfect = (name in one.figures and one.figures[name] is None for one in clips)
        return metrics.load(name).infinite and bool(clips) and all(perfect)

    def text(self, row: str, name: str, clip: str | None = None) -> str:
        """A clip's figure, or without one the mean, for a table."""
        if self.is_infinite(row, name, clip):
            return "∞"
        return shown(self.means[row][name] if clip is None else self.figure(row, clip, name))

    def clips(self) -> list[str]:
        return list(self.scores["truth"])

    @cached_property
    def pale(self) -> dict[str, float]:
        """Row -> how far, as a share, its colourfulness lies below the truth's, where that is beyond the margin."""
        true = self._mean("truth", "colorfulness")
        rows = {row: self._mean(row, "colorfulness") for row in self.scores}
        lacks = {row: 1 - figure / true for row, figure in rows.items() if true and figure is not None}
        return {row: lack for row, lack in lacks.items() if lack > MARGIN}

    @cached_property
    def best(self) -> dict[str, set[str]]:
        """Metric -> the rows that did best in it; pale ones excluded where paleness helps."""
        return {name: self._best(name) for name in self.measured}

    def _best(self, name: str) -> set[str]:
        better, true = metrics.load(name).better, self.means["truth"].get(name)
        means = {row: figures[name] for row, figures in self.means.items() if row != "truth"}
        rows = {row: math.inf if self.is_infinite(row, name) else figure for row, figure in means.items()}
        there = {row: figure for row, figure in rows.items() if figure is not None}
        if name.startswith(STEADINESS):
            there = {row: figure for row, figure in there.items() if row not in self.pale}
        if better == "truth":
            # `fade` is a difference from the truth already; a truth that has no figure is no mark for anything else.
            mark = 0.0 if name == "fade" else true
            there = {} if mark is None else {row: abs(figure - mark) for row, figure in there.items()}
        if not there:
            return set()
        top = max(there.values()) if better == "higher" else min(there.values())
        return {row for row, figure in there.items() if figure == top}

    def _mean(self, row: str, name: str) -> float | None:
        clips = self.scores[row].values()
        if name in self.absent:
            return None
        kind = metrics.load(name)
        if getattr(kind, "pooled", False):
            gathered = [clip.gathered[name] for clip in clips if name in clip.gathered]
            return kind.pool(gathered) if gathered else None  # type: ignore[attr-defined]
        return mean(clip.figures.get(name) for clip in clips)

    def _frame_mean(self, row: str, name: str) -> float | None:
        kind = metrics.load(name)
        if name in self.absent or kind.finish is not Metric.finish or kind.add is not Metric.add:
            return None
        return mean(figure for clip in self.scores[row].values() for figure in clip.frames.get(name, []))


def as_json(found: Evaluation) -> dict:
    """The report as data."""
    return {
        "protocol": found.protocol,
        "methods": {
            row: {
                "mean": found.means[row],
                "frame_mean": found.frame_means[row],
                "clips": {
                    clip: {name: scored.figures.get(name) for name in found.metrics} for clip, scored in clips.items()
                },
            }
            for row, clips in found.scores.items()
        },
        "header": dict(found.header),
        "absent": dict(found.absent),
        "skipped": dict(found.skipped),
        "pale": found.pale,
        "published": published.as_json(found.published) if found.published else None,
    }


# --- As words ---


def shown(figure: float | None, digits: int = 4) -> str:
    """A figure for a table: so many digits that count; `-` where there is none."""
    if figure is None:
        return "-"
    if abs(figure) >= 10:
        return f"{figure:.2f}"
    return f"{figure:.{digits}g}" if abs(figure) >= 1e-4 or figure == 0 else f"{figure:.2e}"


def notes(found: Evaluation) -> list[str]:
    """What a reader must know to read the table."""
    lines = [f"{clip} was left out: it {why}." for clip, why in found.skipped.items()]
    lines += [f"{name} was not measured: {why}." for name, why in found.absent.items()]
    if found.pale:
        pale = ", ".join(f"{row} ({lack:.0%})" for row, lack in found.pale.items())
        lines.append(
            f"† Less colourful than the truth by more than {MARGIN:.0%}: {pale}. Grey and faded film is steady for "
            "free, so these rows win neither in CDC nor in warp error, nor in any other measure of steadiness."
        )
    lines.append(
        "Bold is best; ↑ higher is better, ↓ lower, → nearest to the truth. Figures that were published under other "
        "protocols do not compare with these."
    )
    return lines


def title(name: str) -> str:
    """A metric and which way it is better."""
    return f"{name} {ARROWS[metrics.load(name).better]}"


def rows(found: Evaluation) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
    """(row's name, with † where pale; the shown mean of each metric and whether it is best)."""
    for row in found.scores:
        cells = []
        for name in found.metrics:
            text = found.absent[name].partition(":")[0] if name in found.absent else found.text(row, name)
            cells.append((text, row in found.best.get(name, ())))
        yield row + " †" * (row in found.pale), cells


def markdown_table(head: Sequence[str], body: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """Lines of a table whose first columns hold words, all others figures."""
    rule = ["---"] * words + ["--:"] * (len(head) - words)
    lines = [[cell.replace("|", r"\|") for cell in line] for line in (head, rule, *body)]
    return [f"| {' | '.join(line)} |" for line in lines]
