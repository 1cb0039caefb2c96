"""The documentation is true: every command and program in it runs, every link leads somewhere, nothing is stale.

A fenced block says by its language what becomes of it: `sh` and `python` are run, page by page in a folder that holds a
tiny film and stills; `text` is only shown. A comment on the line before may say more:

    <!-- not run: REASON -->     needs what a test has not (a network)
    <!-- needs: PROGRAM -->      skipped where PROGRAM is missing
    <!-- fails: REASON -->       ends with an error, and should
    <!-- printed -->             text: the command before prints these lines
    <!-- file: NAME -->          python: a file of a method, put in its place (the page on adding one)
    <!-- with: NAME -->          sh: runs with that file in place
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kinochrome import methods, video
from tests.scene import make_scene

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
KINDS = ("sh", "python", "text")
MARKS = ("not run", "needs", "fails", "printed", "file", "with")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    kind: str
    text: str
    mark: str
    """One of MARKS, or nothing."""
    reason: str

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}, line {self.line}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block; whatever cannot be classified is an error."""
    lines = page.read_text(encoding="utf-8").splitlines()
    opened: int | None = None
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("```"):
            continue
        if opened is None:
            opened = number
            continue
        kind = lines[opened].strip().strip("`")
        assert kind in KINDS, f"{name_of(page)}, line {opened + 1}: a block is one of {KINDS}, not {kind!r}"
        mark, reason = _mark(lines[opened - 1] if opened else "", f"{name_of(page)}, line {opened}")
        indent = len(lines[opened]) - len(lines[opened].lstrip())
        text = "\n".join(line[indent:] for line in lines[opened + 1 : number])
        yield Block(page, opened + 1, kind, text, mark, reason)
        opened = None
    assert opened is None, f"{name_of(page)}: the block in line {(opened or 0) + 1} is never closed"


def _mark(line: str, place: str) -> tuple[str, str]:
    comment = re.fullmatch(r"\s*<!-- ([a-z ]+?)(?:: (.+))? -->\s*", line)
    if not comment or "written by" in line or comment[1].endswith(" end"):
        return "", ""
    assert comment[1] in MARKS, f"{place}: a block's comment is one of {MARKS}, not {comment[1]!r}"
    assert comment[2] or comment[1] == "printed", f"{place}: say why, or which"
    return comment[1], comment[2] or ""


def outside_blocks(page: Path) -> list[tuple[int, str]]:
    """The numbered lines of a page that no fenced block holds."""
    kept, inside = [], False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith("```"):
            inside = not inside
        elif not inside:
            kept.append((number, line))
    return kept


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a reader has: a film in two containers and as y4m, stills, a photograph, the examples, the command."""
    scene = make_scene(tmp_path / "film.mkv", (10, 8), audio=True)
    scene_mp4 = make_scene(tmp_path / "film.mp4", (10, 8), codec="libx264", audio=True)
    make_scene(tmp_path / "film.y4m", (10, 8), codec="rawvideo")
    (tmp_path / "stills").mkdir()
    for frame in (0, 10):
        scene.still(tmp_path, frame).rename(tmp_path / "stills" / f"{frame:06d}.png")
    shutil.copy(tmp_path / "stills" / "000000.png", tmp_path / "still.png")
    photograph = video.read_picture(scene_mp4.still(tmp_path, 14))
    video.write_picture(tmp_path / "photo.jpg", np.ascontiguousarray(photograph[:, ::-1]))
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "bin").mkdir()
    for name, words in (("kinochrome", "-m kinochrome.cli"), ("python", "")):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"), prepend=os.pathsep)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def with_blocks(pages: list[Path]) -> list[Path]:
    return [page for page in pages if any(block.kind in ("sh", "python") for block in blocks(page))]


@pytest.mark.skipif(shutil.which("bash") is None, reason="the commands are written for bash")
@pytest.mark.parametrize("page", with_blocks(PAGES), ids=name_of)
def test_every_block_of_a_page_runs(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = ""
    placed: dict[str, str] = {}
    for block in blocks(page):
        if block.mark == "not run" or (block.mark == "needs" and shutil.which(block.reason) is None):
            continue
        if block.mark == "file":
            placed[block.reason] = block.text
        elif block.kind == "python":
            # The empty lines make errors name the page's own line.
            exec(compile("\n" * block.line + block.text, str(page), "exec"), {"__name__": "__main__"})
        elif block.kind == "sh":
            printed = run(block, folder, placed)
        elif block.mark == "printed":
            told = [" ".join(line.split()) for line in printed.splitlines()]
            for line in block.text.splitlines():
                assert " ".join(line.split()) in told, f"{block.place}: not printed: {line}\n{printed}"


def run(block: Block, folder: Path, placed: dict[str, str]) -> str:
    """Runs a block in bash; what it printed."""
    environment = dict(os.environ)
    if block.mark == "with":
        environment["PYTHONPATH"] = os.pathsep.join([str(a_copy_with(folder, placed)), environment["PYTHONPATH"]])
    # Whoever follows one example has not followed the others: its target is not there yet.
    for target in re.findall(r"kinochrome colorize \S+ (\S+)", block.text):
        if "--overwrite" not in block.text:
            (folder / target).unlink(missing_ok=True)
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", block.text],
        cwd=folder, env=environment, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    assert (done.returncode != 0) == (block.mark == "fails"), f"{block.place} ended with {done.returncode}:\n{said}"
    assert "Traceback" not in said, f"{block.place}:\n{said}"
    return said


def a_copy_with(folder: Path, placed: dict[str, str]) -> Path:
    """A copy of the source with the page's files in place, each method with its line in METHODS."""
    source = folder / "source"
    if not source.exists():
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        table = source / "kinochrome" / "methods" / "__init__.py"
        for name, text in placed.items():
            if name.startswith("methods/"):
                (source / "kinochrome" / name).write_text(text, encoding="utf-8")
                line = f'METHODS: dict[str, str] = {{\n    "{Path(name).stem}": "a method of the documentation",'
                before = table.read_text(encoding="utf-8")
                table.write_text(before.replace("METHODS: dict[str, str] = {", line), encoding="utf-8")
                assert table.read_text(encoding="utf-8") != before
    return source


def test_the_method_of_the_page_passes_its_own_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = ROOT / "docs" / "add-a-method.md"
    files = {block.reason: block for block in blocks(page) if block.mark == "file"}
    for name, block in files.items():
        (tmp_path / Path(name).name).write_text(block.text + "\n", encoding="utf-8")
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    monkeypatch.setitem(methods.METHODS, "palette", "a method of the documentation")
    kind = methods.load("palette")
    assert methods.parse_options("palette", {"levels": "8"}).levels == 8
    with pytest.raises(ValueError, match="levels"):
        methods.parse_options("palette", {"levels": "0"})
    assert kind(kind.Options(), "cpu").working_size(480, 640) == (120, 160)
    names: dict = {"__name__": "tests"}
    block = files["tests/methods/test_palette.py"]
    exec(compile("\n" * block.line + block.text, str(page), "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_stand_in_blocks(page: Path) -> None:
    """A command in an indented block would not be run."""
    for number, line in outside_blocks(page):
        hidden = re.match(r"(    |\t)\s*(\$ )?(kinochrome|python|pip|ffmpeg) ", line)
        assert not hidden, f"{name_of(page)}, line {number}: put the command into a ```sh block"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for number, line in outside_blocks(page):
        for link in re.findall(r"\]\(([^)\s]+)\)", line):
            if link.startswith(("https://", "mailto:")):
                continue
            target, _, anchor = link.partition("#")
            found = (page.parent / target).resolve() if target else page
            assert found.exists(), f"{name_of(page)}, line {number}: {link} leads nowhere"
            if anchor:
                assert anchor in anchors(found), f"{name_of(page)}, line {number}: no heading #{anchor}"


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = [line.lstrip("#").strip() for _, line in outside_blocks(page) if line.startswith("#")]
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower())).strip("-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page: Path) -> None:
    """Words in `code` that look like a file of this project."""
    known = [path.relative_to(ROOT).as_posix() for path in files_of_the_project()]
    for number, line in outside_blocks(page):
        for word in re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|md|toml|txt))`", line) + re.findall(r"`([\w-]+\.py)`", line):
            mine = any(path == word or path.endswith("/" + word) for path in known)
            assert mine or "palette" in word or "NAME" in word, f"{name_of(page)}, line {number}: there is no {word}"


def files_of_the_project() -> Iterator[Path]:
    yield from ROOT.glob("*.*")
    for part in ("src", "tests", "docs", "examples", "benchmarks"):
        yield from (ROOT / part).rglob("*.*")


def test_what_is_written_from_the_code_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import generate

    stale = "is older than the code; run `python docs/generate.py`"
    assert generate.PAGE.read_text(encoding="utf-8") == generate.page(), f"docs/cli.md {stale}"
    assert generate.PUBLISHED.read_text(encoding="utf-8") == generate.published_page(), f"docs/published.md {stale}"
    for method in generate.NETWORKS:
        written = generate.page_of(method).read_text(encoding="utf-8")
        assert written == generate.with_network(method), f"docs/methods/{method}.md {stale}"
    readme = generate.README.read_text(encoding="utf-8")
    assert readme == generate.with_tables(readme), f"README.md {stale}"
    assert "| `web` |" in readme and "[`flow`](docs/methods/flow.md)" in readme


def test_every_page_is_in_the_navigation() -> None:
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f": {page.name}\n" in listed, f"{page.name} is not in mkdocs.yml"


def test_the_pictures_are_small() -> None:
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size < 700_000, f"{picture.name} is too large for a page"


def test_the_checks_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    page = tmp_path / "page.md"
    for text, problem in (
        ("```\nkinochrome\n```\n", "a block is one of"),
        ("```sh\nkinochrome\n", "never closed"),
        ("<!-- not run -->\n```sh\nx\n```\n", "say why"),
        ("<!-- maybe: x -->\n```sh\nx\n```\n", "a block's comment"),
    ):
        page.write_text(text)
        with pytest.raises(AssertionError, match=problem):
            list(blocks(page))
    page.write_text("[x](nowhere.md)\n\n    kinochrome methods\n\n`nowhere/none.py`\n")
    for check in (test_links_lead_somewhere, test_commands_stand_in_blocks, test_files_that_are_named_exist):
        with pytest.raises(AssertionError, match=r"page\.md"):
            check(page)
