"""The house rules that a program can check: layers, imports, sizes, a test and a page for each method."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinochrome.methods import METHODS

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "kinochrome"
FILES = sorted(SOURCE.rglob("*.py"))

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(names.split())
    for names in (
        "errors types",
        "locks",
        "color weights nets project scenery threads",
        "flow views video shots clips upsample segments",
        "sweeps reel",
        "methods metrics sheet hints",
        "chain describe engines",
        "proposals",
        "plan",
        "places",
        "pipeline live",
        "photographs",
        "api evaluation progress",
        "training",
        "demo doctor",
        "cli",
        "__main__",
    )
)
"""From the bottom up; a module imports only what lies below it, a package also from itself."""

FOR_METHODS = frozenset({"types", "errors", "color", "flow", "views", "sweeps", "nets", "weights"})
VAGUE = frozenset({"utils", "util", "helper", "helpers", "common", "base", "core", "manager", "managers", "misc"})


def part_of(file: Path) -> str:
    """The module or package directly under kinochrome that a file belongs to; '' for kinochrome's own __init__."""
    inside = file.relative_to(SOURCE).with_suffix("").parts
    return "" if inside == ("__init__",) else inside[0]


def name_of(file: Path) -> str:
    parts = file.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(file: Path) -> Iterator[str]:
    """Full names of what a file imports anywhere, imports for type checkers apart."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_checkers = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for statement in branch.body
        for node in ast.walk(statement)
    }
    package = file.relative_to(SOURCE.parent).parts[:-1]
    for node in ast.walk(tree):
        if id(node) in for_checkers:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            home = ".".join((*above, *(node.module.split(".") if node.module else ())))
            yield from (f"{home}.{alias.name}" for alias in node.names)


def own_parts(file: Path) -> Iterator[str]:
    """The parts of kinochrome that a file imports from."""
    for name in imported(file):
        steps = name.split(".")
        if steps[0] == "kinochrome" and len(steps) > 1:
            yield steps[1]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_go_strictly_downwards(file: Path) -> None:
    me = part_of(file)
    if not me:
        return
    height = {part: number for number, layer in enumerate(LAYERS) for part in layer}
    assert me in height, f"{me} has no layer: give it one in LAYERS"
    for other in own_parts(file):
        if other in height and other != me:
            assert height[other] < height[me], f"{name_of(file)} imports {other}, which does not lie below it"


def test_no_circular_imports() -> None:
    known = {name_of(file) for file in FILES}
    needs = {}
    for file in FILES:
        # `from .video import x` names a module of the package or something in its __init__.
        candidates = [(name if name in known else name.rpartition(".")[0]) for name in imported(file)]
        needs[name_of(file)] = {name for name in candidates if name in known and name != name_of(file)}
    resolved: set[str] = set()
    while ready := {name for name, others in needs.items() if name not in resolved and others <= resolved}:
        resolved |= ready
    assert resolved == known, f"these import each other in a circle: {sorted(known - resolved)}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_only_video_imports_pyav(file: Path) -> None:
    names = {name.split(".")[0] for name in imported(file)}
    assert "av" not in names or part_of(file) == "video"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_only_color_holds_a_colour_matrix(file: Path) -> None:
    weights = {0.2126, 0.7152, 0.0722, 0.299, 0.587, 0.114, 0.2627, 0.678, 0.0593}
    numbers = {
        node.value for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)
    }
    assert len(weights & {number for number in numbers if isinstance(number, float)}) < 2 or part_of(file) == "color"


@pytest.mark.parametrize(
    "file", [f for f in FILES if part_of(f) == "methods" and f.parent.name + f.stem != "methods__init__"], ids=name_of
)
def test_a_method_imports_only_what_methods_may(file: Path) -> None:
    own = ".".join(name_of(file).split(".")[:3])
    foreign = [name for name in imported(file) if not f"{name}.".startswith(f"{own}.")]
    assert {name.split(".")[1] for name in foreign if name.startswith("kinochrome.")} <= FOR_METHODS


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_files_and_functions_stay_small(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= 700
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            # A verb of the command line is mostly the list of its options.
            assert lines <= 80 or part_of(file) == "cli", f"{node.name} has {lines} lines"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_has_a_telling_name_and_says_what_it_is(file: Path) -> None:
    assert file.stem not in VAGUE
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_nothing_happens_at_import_time(file: Path) -> None:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_guard = isinstance(node, ast.If) and (
            "TYPE_CHECKING" in ast.dump(node.test) or "__main__" in ast.dump(node.test)
        )
        quiet = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.ClassDef)
        assert is_text or is_guard or isinstance(node, quiet), f"line {node.lineno} does something on import"


def test_every_part_of_the_layers_is_spelled_once() -> None:
    parts = [part for layer in LAYERS for part in layer]
    assert len(parts) == len(set(parts))
    assert {part_of(file) for file in FILES} - {""} == set(parts)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_file_its_test_and_its_page(name: str) -> None:
    alone, package = SOURCE / "methods" / f"{name}.py", SOURCE / "methods" / name / "__init__.py"
    assert alone.is_file() != package.is_file()
    assert (ROOT / "tests" / "methods" / f"test_{name}.py").is_file()
    page = ROOT / "docs" / "methods" / f"{name}.md"
    assert page.is_file(), f"write {page}"
    assert page.read_text(encoding="utf-8").strip()


def test_every_file_of_a_method_is_in_the_table() -> None:
    inside = {file.relative_to(SOURCE / "methods").parts[0] for file in FILES if part_of(file) == "methods"}
    assert {part.removesuffix(".py") for part in inside} - {"__init__"} == set(METHODS)
