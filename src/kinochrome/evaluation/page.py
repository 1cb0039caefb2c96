"""An evaluation as one HTML file that opens without a network: table, plots over time, worst frames."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from kinochrome import metrics

from .score import Scored
from .sections import Section, opening, sections
from .table import Evaluation, notes, rows, title

COLOURS = ("#d1495b", "#2e86ab", "#3a7d44", "#8f5db7", "#e08e1b", "#11a39c", "#b04a8f", "#6a6f2d")
GREYS = {"grey": "#9a9a9a", "copy": "#5a5a5a"}

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 200, 44, 24

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222;
  background: #fff; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #eee; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
td.best { font-weight: 700; background: #eef6ee; } td.missing { color: #999; font-style: italic; }
tr.truth td, tr:not(.ours) + tr.ours td { border-top: 2px solid #bbb; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; } dt { color: #666; } dd { margin: 0; }
figure { margin: 1rem 0; } figcaption { color: #555; font-size: .9rem; }
img { max-width: 100%; display: block; } svg { max-width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: #555; }
"""


def page(found: Evaluation) -> str:
    """The whole file."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Evaluation: {escape(found.protocol)}</title><style>{STYLE}</style></head><body>",
        f"<h1>Evaluation: {escape(found.protocol)}</h1>",
        "<dl>" + "".join(f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in found.header.items()),
        "</dl><h2>Means over clips</h2>",
        _table(found),
        "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes(found)) + "</ul>",
        *_published(found),
    ]
    for clip in found.clips():
        parts.append(f"<h2>{escape(clip)}</h2>")
        lines = {row: clips[clip] for row, clips in found.scores.items() if row != "truth" and clip in clips}
        parts += [_clip_table(found, clip, lines), plot(lines), *_pictures(lines)]
    return "\n".join([*parts, "</body></html>"]) + "\n"


def colour_of(row: str, rows: Sequence[str]) -> str:
    """A row's colour, the same in all plots."""
    methods = [one for one in rows if one not in GREYS]
    return GREYS[row] if row in GREYS else COLOURS[methods.index(row) % len(COLOURS)]


def _table(found: Evaluation) -> str:
    heads = "".join(f'<th title="{escape(metrics.METRICS[name])}">{escape(title(name))}</th>' for name in found.metrics)
    lines = []
    for row, cells in rows(found):
        texts = []
        for name, (text, best) in zip(found.metrics, cells, strict=True):
            kind = "missing" if name in found.absent else "best" if best else ""
            why = f' title="{escape(found.absent[name])}"' if name in found.absent else ""
            texts.append(f'<td class="{kind}"{why}>{escape(text)}</td>')
        kind = ' class="truth"' if row == "truth" else ""
        lines.append(f"<tr{kind}><td>{escape(row)}</td>{''.join(texts)}</tr>")
    return f'<div class="wide"><table><tr><th></th>{heads}</tr>{"".join(lines)}</table></div>'


def _published(found: Evaluation) -> list[str]:
    """Published figures in tables of their own, ours beneath; nothing where none were asked for."""
    if not (told := opening(found)):
        return []
    return ["<h2>Published figures</h2>", f"<p>{escape(told)}</p>", *map(_published_table, sections(found))]


def _published_table(one: Section) -> str:
    theirs = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in one.theirs)
    ours = "".join(
        f'<tr class="ours"><td>here: {escape(row)}</td>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for row, *cells in one.ours
    )
    heads = "".join(f"<th>{escape(name)}</th>" for name in one.head)
    told = "".join(f"<li>{escape(note)}</li>" for note in one.notes)
    return (
        f'<h3>{escape(one.title)}</h3><div class="wide"><table><tr><th></th>{heads}</tr>{theirs}{ours}</table></div>'
        f"<ul>{told}</ul>"
    )


def _clip_table(found: Evaluation, clip: str, lines: Mapping[str, Scored]) -> str:
    names = [name for name in found.measured if not getattr(metrics.load(name), "pooled", False)]
    heads = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr><td>{escape(row)}</td>" + "".join(f"<td>{found.text(row, name, clip)}</td>" for name in names) + "</tr>"
        for row in [*lines, "truth"]
    )
    return f'<div class="wide"><table><tr><th></th>{heads}</tr>{body}</table></div>'


def plot(lines: Mapping[str, Scored]) -> str:
    """PSNR over the clip's frames, a line a row, as SVG; empty where no frame has one."""
    series = {
        row: [(at, value) for at, value in zip(one.index, one.frames["psnr"], strict=True) if value is not None]
        for row, one in lines.items()
    }
    points = [point for one in series.values() for point in one]
    if not points:
        return ""
    last = max(at for at, _ in points) or 1
    low, high = min(value for _, value in points), max(value for _, value in points)
    low, high = 5 * int(low // 5), 5 * int(high // 5 + 1)

    def place(at: float, value: float) -> str:
        across = LEFT + at / last * (WIDTH - LEFT - 8)
        down = 8 + (high - value) / (high - low) * (HEIGHT - BOTTOM - 8)
        return f"{across:.1f},{down:.1f}"

    marks = []
    for level in range(low, high + 1, 5):
        x, y = place(0, level).split(",")
        marks.append(f'<line x1="{x}" y1="{y}" x2="{WIDTH - 8}" y2="{y}" stroke="#e5e5e5"/>')
        marks.append(f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{level}</text>')
    for row, one in series.items():
        colour, path = colour_of(row, list(lines)), " ".join(place(*point) for point in one)
        if len(one) == 1:
            x, y = path.split(",")
            marks.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"><title>{escape(row)}</title></circle>')
        else:
            marks.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6">'
                f"<title>{escape(row)}</title></polyline>"
            )
    marks.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">frame 0</text>')
    marks.append(f'<text x="{WIDTH - 8}" y="{HEIGHT - 6}" text-anchor="end">{last}</text>')
    key = " ".join(f'<b style="color:{colour_of(row, list(lines))}">— {escape(row)}</b>' for row in lines)
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="PSNR over time">{"".join(marks)}</svg>'
        f"<figcaption>PSNR in dB over frames: {key}</figcaption></figure>"
    )


def _pictures(lines: Mapping[str, Scored]) -> list[str]:
    """The worst frame of each row but the baselines: truth, result, error."""
    return [
        f'<figure><img alt="truth, {escape(row)}, error" '
        f'src="data:image/jpeg;base64,{base64.b64encode(one.picture).decode()}">'
        f"<figcaption>{escape(row)}, worst frame: {one.worst}. Truth, result, error (black none, bright large)."
        "</figcaption></figure>"
        for row, one in lines.items()
        if one.picture and row not in GREYS
    ]
