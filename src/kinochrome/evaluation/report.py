"""An evaluation as files: report.json, .csv, .md, .tex and .html."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from kinochrome.project import made_folder, write_atomically

from .page import page
from .sections import opening, sections
from .table import Evaluation, as_json, markdown_table, notes, rows, title

TEX = {
    **{letter: "\\" + letter for letter in "_&%$#{}"}, "[": "{[}",
    "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "|": r"\textbar{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "†": r"$^\dagger$", "∞": r"$\infty$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\rightarrow$",
}  # fmt: skip
"""How TeX writes what means something to it, or what its fonts lack."""


def write(found: Evaluation, folder: Path) -> list[Path]:
    """All five files; each there completely or not at all."""
    texts = {
        "report.json": json.dumps(as_json(found), indent=1, ensure_ascii=False, allow_nan=False),
        "report.csv": as_csv(found),
        "report.md": as_markdown(found),
        "report.tex": as_tex(found),
        "report.html": page(found),
    }
    made_folder(folder, parents=True)
    for name, text in texts.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in texts]


def as_csv(found: Evaluation) -> str:
    """A line a row and clip, and for the two means; full precision."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["method", "clip", *found.metrics])
    for row, clips in found.scores.items():
        for clip, scored in clips.items():
            out.writerow([row, clip, *(_cell(scored.figures.get(name)) for name in found.metrics)])
        out.writerow([row, "mean", *(_cell(found.means[row][name]) for name in found.metrics)])
        out.writerow([row, "frame_mean", *(_cell(found.frame_means[row][name]) for name in found.metrics)])
    return text.getvalue()


def as_markdown(found: Evaluation) -> str:
    """Choices, table of means, notes, and PSNR a clip."""
    lines = [f"# Evaluation: {found.protocol}", ""]
    lines += [f"- **{key}**: {text}" for key, text in found.header.items()]
    lines += ["", *markdown_table(["", *map(title, found.metrics)], _bold_rows(found)), ""]
    lines += [f"- {note}" for note in notes(found)]
    lines += _published(found)
    if "psnr" in found.measured:
        names = [row for row in found.scores if row != "truth" and found.scores[row]]
        body = [[clip, *(found.text(row, "psnr", clip) for row in names)] for clip in found.clips()]
        body.append(["**mean**", *(found.text(row, "psnr") for row in names)])
        lines += ["", "## PSNR a clip", "", *markdown_table(["clip", *names], body)]
    return "\n".join(lines) + "\n"


def as_tex(found: Evaluation) -> str:
    """The table of means for a paper, with `booktabs`; the choices stand above it as comments."""
    lines = [f"% {key}: {text}" for key, text in found.header.items()]
    lines += [r"\begin{tabular}{l" + "r" * len(found.metrics) + "}", r"\toprule"]
    lines += [" & ".join(["", *(_escaped(title(name)) for name in found.metrics)]) + r" \\", r"\midrule"]
    for row, cells in rows(found):
        texts = [rf"\textbf{{{_escaped(text)}}}" if best else _escaped(text) for text, best in cells]
        lines.append(" & ".join([_escaped(row), *texts]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [f"% {note}" for note in notes(found)]
    return "\n".join(lines) + "\n"


def _published(found: Evaluation) -> list[str]:
    """Published figures in tables of their own, ours beneath; nothing where none were asked for."""
    if not (told := opening(found)):
        return []
    lines = ["", "## Published figures", "", told]
    for one in sections(found):
        ours = [[f"here: {row}", *cells] for row, *cells in one.ours]
        lines += ["", f"### {one.title}", "", *markdown_table(["", *one.head], [*one.theirs, *ours]), ""]
        lines += [f"- {note}" for note in one.notes]
    return lines


def _bold_rows(found: Evaluation) -> list[list[str]]:
    return [[row, *(f"**{text}**" if best else text for text, best in cells)] for row, cells in rows(found)]


def _cell(figure: float | None) -> str:
    return "" if figure is None else repr(float(figure))


def _escaped(text: str) -> str:
    return "".join(TEX.get(letter, letter) for letter in text)
