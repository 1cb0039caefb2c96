"""Writes what the documentation can read from the code: docs/cli.md, docs/published.md, tables of README.md and others.

    python docs/generate.py
    python docs/generate.py demo/contact-sheet.png     (also the picture of the demo, small enough for a page)

`make docs` runs it as a hook of MkDocs, and a test fails while a page is older than the code.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import typer

from kinochrome import cli, video
from kinochrome.describe import options_of
from kinochrome.evaluation import published
from kinochrome.evaluation.data_sets import DATA_SETS
from kinochrome.methods import METHODS, bistnet, load, lstvc, vcgan
from kinochrome.methods.kino.network import Shape
from kinochrome.training import losses
from kinochrome.training.degrade import Wear
from kinochrome.training.lessons import Lesson
from kinochrome.training.recipe import Optimizer, Run
from kinochrome.video.presets import DEFAULTS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "cli.md"
PUBLISHED = ROOT / "docs" / "published.md"
README = ROOT / "README.md"
TRAINING = ROOT / "docs" / "training.md"
NETWORKS = {"bistnet": bistnet.network.Shape, "lstvc": lstvc.network.Shape, "vcgan": vcgan.network.Shape}
"""What the recipes of these methods say of their networks stands on their own pages."""

NOT_RUN = {
    "evaluate": "it needs films in true colour, and some metrics need weights",
    "preferences": "it needs what people chose",
    "data check": "it needs a data set",
    "train": "it needs footage in true colour, and hours",
}
"""Verbs whose examples want what no test has; the documentation's tests run all others."""

HEAD = """\
<!-- Written by docs/generate.py from the code; change that, then run `make docs`. -->

# Command line

What a person reads goes to standard error. Standard output is for tables, for `--json`, and for film (`-`).
Python knows the same words: see [the last section](#from-python).
"""

TAIL = """\
## Exit codes

| code | what happened |
|---|---|
| 0 | done |
| 1 | an error of another kind; `kinochrome doctor` found something missing |
| 2 | wrong usage: a word or option that does not exist |
| 3 | a film, picture or stream that cannot be read, written or joined |
| 4 | a reference or shot list that does not fit the film |
| 5 | an unknown method, preset or option, or a need of the method that nothing meets |
| 6 | weights that are missing or damaged |
| 7 | a project folder of another film or of a newer version, or one that another run is using |
| 8 | a recipe, data or a run of training that cannot go on |
| 130 | stopped with Ctrl-C; the same command goes on from there |

An error is one sentence or two. `KINOCHROME_DEBUG=1` in the environment shows where in the code it arose.

## Events

With `--json`, `colorize` prints one JSON object a line on standard output (on standard error if the target is `-`).

| event | fields |
|---|---|
| `scan` | `frame`: so many frames have been looked at |
| `automatic` | `shot`, `frame`, `method`: a reference is there that nobody gave |
| `note` | `text`: something worth knowing, such as a damaged frame that is held |
| `plan` | `frames`, `shots`, `pieces`: what is to be done |
| `tune` | twice a second while a shot is tuned: `shot`, `step`, `steps` |
| `progress` | twice a second: `done`, `frames`, `shot`, `shots`, `frames_per_second`, `seconds_left` (null at first) |
| `join` | `target`: all is coloured, the film is being put together |
| `done` | `target`, `sheet` (of a preview; else null), `frames`, `resumed`, `seconds`, `shots`, `notes`; a shot has \
`number`, `start`, `stop`, `in_colour`, `references`, `explained` (0 to 1; 0 without a reference), \
`weakest` (the frame where a new \
reference would help most) |
| `error` | `kind`, `text`; on standard error, the last line |

The `report` function that `kinochrome.colorize` takes is called with more and finer events: `scan` (`frame`),
`plan` (`frames`, `shots`, `pieces`, `notes`), `piece` (`shot`, `start`, `stop`), `resumed`, `coloured` and `rendered`
(`frames`, how many more), `tune` (`shot`, `step`, `steps`), `automatic` (`shot`, `frame`,
`method`: a reference is there that nobody gave), `backward` (`start`, `stop`: a later reference's colours
are brought back) and `join` (`target`).

## From Python

The function has the command's words. Five are spelled otherwise: `--reference` and `--scribble` are the lists
`references` and `scribbles`, `--set` is the dict `options`, `--from` and `--to` are `start` and `stop`.

```python
import kinochrome

summary = kinochrome.colorize(
    "film.mp4",
    "from-python.mp4",
    references=["still.png@0"],
    method="flow",
    options={"flow.quality": "fast"},
    start="00:00:00",
    stop=0.5,
)
for shot in summary.shots:
    print(f"shot {shot.number}: {shot.explained:.0%} explained, weakest at frame {shot.weakest}")
```
"""


def page() -> str:
    """All of docs/cli.md."""
    parts = [HEAD]
    for name, verb in _verbs(typer.main.get_command(cli.app)):
        parts += [f"## kinochrome {name}\n", *_story(verb.help, NOT_RUN.get(name, "")), *_parameters(verb.params)]
    parts += ["## Methods\n", _methods_table(), *_options()]
    parts += ["## Presets\n", "`--preset` names one; without it the target's suffix decides.\n", _presets_table(), TAIL]
    return "\n".join(parts)


def _verbs(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every verb with its full name, those under a word of their own too."""
    for name, verb in group.commands.items():
        if getattr(verb, "invoke_without_command", True):
            yield before + name, verb
        if hasattr(verb, "commands"):
            yield from _verbs(verb, f"{before}{name} ")


def _story(text: str, not_run: str) -> Iterator[str]:
    """A verb's docstring; what is indented in it are commands."""
    mark = f"<!-- not run: {not_run} -->\n" if not_run else ""
    for paragraph in text.replace("\b\n", "").split("\n\n"):
        for commands, lines in _runs(paragraph.splitlines()):
            body = "\n".join(line.strip() for line in lines)
            yield f"{mark}```sh\n{body}\n```\n" if commands else f"{body}\n"


def _runs(lines: list[str]) -> list[tuple[bool, list[str]]]:
    """Neighbouring lines of one kind: (indented, lines)."""
    runs: list[tuple[bool, list[str]]] = []
    for line in lines:
        indented = line.startswith("    ")
        if not runs or runs[-1][0] != indented:
            runs.append((indented, []))
        runs[-1][1].append(line)
    return runs


def _parameters(parameters: list[Any]) -> Iterator[str]:
    yield "| word | what it says |\n|---|---|"
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            word = parameter.name.upper() if parameter.required else f"[{parameter.name.upper()}]"
        else:
            word = parameter.opts[0]
        text = parameter.help or ""
        if parameter.multiple and "repeated" not in text:
            text += " May be repeated."
        if parameter.default not in (None, False, True):
            text += f" [default: `{parameter.default}`]"
        yield f"| `{word}` | {_cell(text)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _methods_table() -> str:
    rows = ["| method | what it is |", "|---|---|"]
    return "\n".join(
        [*rows, *(f"| [`{name}`](methods/{name}.md) | {_cell(line)} |" for name, line in METHODS.items()), ""]
    )


def _options() -> Iterator[str]:
    yield "| option | default | takes | what it does |\n|---|---|---|---|"
    for name in METHODS:
        for option in options_of(load(name).Options):
            cells = f"`--set {name}.{option.name}=…`", f"`{option.default}`", option.values, option.text
            yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""


def _presets_table() -> str:
    rows = ["| preset | what it gives | is the default of |", "|---|---|---|"]
    for name, line in video.PRESETS.items():
        suffixes = ", ".join(f"`{suffix}`" for suffix, preset in DEFAULTS.items() if preset == name)
        rows.append(f"| `{name}` | {_cell(line)} | {suffixes} |")
    return "\n".join([*rows, ""])


PUBLISHED_HEAD = """\
<!-- Written by docs/generate.py from src/kinochrome/evaluation/published.toml; change that, then run `make docs`. -->

# Published figures

What papers have printed, as they printed it, and what of it may stand beside a report of
[`kinochrome evaluate`](evaluate.md). None of it was measured here. `-` is missing, † doubtful.

`--published davis-val` (or `videvo-test`) says that the clips are that list, and prints beside ours what was found on
**all the same clips**, under the **same protocol** and with the **same definition of a metric**; what fails in one of
the three never stands there. "None" below is a row or column that never does. Tables that only take one method apart
are here, but in no report.

Two figures of one column and protocol still differ in training, software, size and rounding. The only fair
comparison runs all methods on the same frames: that is what `--results` is for.
"""


def published_page() -> str:
    """All of docs/published.md."""
    parts = [PUBLISHED_HEAD]
    for number, table in enumerate(published.tables()):
        if not number or published.tables()[number - 1].paper != table.paper:
            name = table.paper[:1].upper() + table.paper[1:]
            parts += [f"## {name}\n", f"*{table.title}*. {table.source}.\n", f"{table.notes[0]}\n"]
            parts += [*_correspondences(table.paper)]
        parts += [f"### {name}, table {table.number}: {table.about}\n", *(f"{note}\n" for note in table.notes[1:])]
        parts += [f"Of no protocol of ours: {table.apart}\n"] * bool(table.apart)
        parts += [_published_table(table, data) for data in table.data]
    return "\n".join(parts)


def _correspondences(paper: str) -> Iterator[str]:
    """What a paper's columns are here."""
    columns = {column.name: column for table in published.tables() if table.paper == paper for column in table.columns}
    yield "| column | ours | made as our | what differs, or why none |\n|---|---|---|---|"
    means = {"mean": "mean of clips", "frame_mean": "mean of frames", "": "not stated"}
    for column in columns.values():
        ours, mean = (f"`{column.metric}`", means[column.mean]) if column.metric else ("none", "-")
        yield f"| {column.name} | {ours} | {mean} | {_cell(column.why or column.differs)} |"
    yield ""


def _published_table(table: published.Table, data: str) -> str:
    """A table's figures on a data set, with each row's protocol."""
    own = f"`{data}`" if data in DATA_SETS else f"{data} (no list of ours)"
    rows = [f"On {own}:\n"] * bool(data)
    rows += [f"| method | protocol | {' | '.join(column.name for column in table.columns)} |"]
    rows += ["|---|---|" + "--:|" * len(table.columns)]
    for row in table.rows:
        cells = [row.values.get((data, column.name), "-") for column in table.columns]
        method = row.method.replace("*", "\\*").replace("_", "\\_")
        protocol = f"`{row.protocol}`" if row.protocol else "none"
        rows.append(f"| {method} | {protocol} | {' | '.join(cell.replace('_', chr(92) + '_') for cell in cells)} |")
    return "\n".join([*rows, ""])


def with_tables(readme: str) -> str:
    """README with its tables of methods and presets as the code has them."""
    methods = _methods_table().replace("](methods/", "](docs/methods/")
    return _filled(readme, {"methods": methods, "presets": _presets_table()})


def with_recipe(training: str) -> str:
    """The page on training with the tables of a recipe, of wear and of losses as the code has them."""
    tables = {"run": Run, "optimizer": Optimizer, "network": Shape, "lesson": Lesson}
    recipe = "\n".join(f"`[{name}]`\n\n{_fields_table(kind)}" for name, kind in tables.items())
    wear = ["| wear | what it is |", "|---|---|", *(f"| `{f.name}` | {_cell(f.text)} |" for f in options_of(Wear)), ""]
    filled = {"recipe": recipe, "wear": "\n".join(wear), "losses": _losses_table()}
    return _filled(training, {name: f"\n{table}\n" for name, table in filled.items()})


def page_of(method: str) -> Path:
    """Where a method is described."""
    return ROOT / "docs" / "methods" / f"{method}.md"


def with_network(method: str) -> str:
    """A method's page with the table of its network as the code has it."""
    return _filled(page_of(method).read_text(encoding="utf-8"), {method: f"\n{_fields_table(NETWORKS[method])}\n"})


def _fields_table(kind: type) -> str:
    """A dataclass: what each field is unless said otherwise, and what its docstring says."""
    rows = ["| key | unless said | what it is |", "|---|---|---|"]
    for field in options_of(kind):
        default = field.default
        if default is MISSING:
            default = "must be said"
        else:
            default = f"`{list(default) if isinstance(default, tuple) else repr(default)}`".replace("'", '"')
        rows.append(f"| `{field.name}` | {default} | {_cell(field.text)} |")
    return "\n".join([*rows, ""])


def _losses_table() -> str:
    """Every function that gives a loss, by its first line."""
    rows = ["| loss | what it gives |", "|---|---|"]
    for name in losses.__all__:
        one = getattr(losses, name)
        if inspect.isfunction(one) and inspect.signature(one).return_annotation == "torch.Tensor":
            rows.append(f"| `{name}` | {_cell((one.__doc__ or '').partition(chr(10))[0])} |")
    return "\n".join([*rows, ""])


def _filled(page: str, tables: dict[str, str]) -> str:
    """The page with each table anew between the two comments that bear its name."""
    for name, table in tables.items():
        start, end = f"<!-- {name}: written by docs/generate.py -->", f"<!-- {name} end -->"
        page = re.sub(f"{start}.*?{end}", lambda _, s=start, t=table, e=end: f"{s}\n{t}{e}", page, flags=re.DOTALL)
    return page


def write() -> None:
    """All files, where they have changed."""
    for path, text in (
        (TRAINING, with_recipe(TRAINING.read_text(encoding="utf-8"))),
        *((page_of(method), with_network(method)) for method in NETWORKS),
        (PAGE, page()),
        (PUBLISHED, published_page()),
        (README, with_tables(README.read_text(encoding="utf-8"))),
    ):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def draw(sheet: Path) -> None:
    """The demo's contact sheet as docs/images/contact-sheet.png: 1000 pixels wide, six bits a channel."""
    picture = video.read_picture(sheet)
    height = round(picture.shape[0] * 1000 / picture.shape[1])
    small = cv2.resize(picture, (1000, height), interpolation=cv2.INTER_AREA)
    codes = np.clip(np.rint(small * 63.75) * 4, 0, 255).astype(np.uint8)
    video.write_picture(PAGE.parent / "images" / "contact-sheet.png", codes)


def on_config(config: Any) -> Any:
    """MkDocs asks: every method's page belongs under Methods."""
    for entry in config["nav"]:
        if "Methods" in entry:
            entry["Methods"] = [{name: f"methods/{name}.md"} for name in METHODS]
    return config


def on_pre_build(config: Any) -> None:
    """MkDocs begins."""
    write()


if __name__ == "__main__":
    write()
    if len(sys.argv) > 1:
        draw(Path(sys.argv[1]))
