"""What a method tells about itself: its text, its needs, its options. Help, forms and docs are made from this."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from . import methods


@dataclass(frozen=True)
class Option:
    """One field of a method's Options."""

    name: str
    default: Any
    values: str
    """What it takes, in words."""
    text: str


def options_of(kind: type) -> list[Option]:
    """The fields of an Options dataclass, each with the docstring written under it."""
    texts = _field_docstrings(kind)
    hints = get_type_hints(kind)
    return [
        Option(field.name, _default(field), _values(hints[field.name]), texts.get(field.name, ""))
        for field in dataclasses.fields(kind)
    ]


def method_text(name: str) -> str:
    """A page for the terminal about one method."""
    kind = methods.load(name)
    needs = ", ".join(sorted(kind.needs)) or "nothing"
    lines = [
        f"{name}: {methods.METHODS[name]}", "", inspect.cleandoc(inspect.getmodule(kind).__doc__ or ""), "",
        f"needs: {needs}    uses: {', '.join(sorted(kind.uses)) or 'nothing'}",
    ]  # fmt: skip
    found = options_of(kind.Options)
    if found:
        lines += ["", "options:"]
    for option in found:
        lines.append(f"  --set {name}.{option.name}={option.default}    ({option.values})")
        lines += textwrap.wrap(option.text, 100, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def _values(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " | ".join(map(str, get_args(hint)))
    words = {int: "a whole number", float: "a number", bool: "true or false"}
    return words.get(hint, getattr(hint, "__name__", str(hint)))


def _field_docstrings(kind: type) -> dict[str, str]:
    """Python keeps no docstrings of fields, so they are read from the source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    texts: dict[str, str] = {}
    if isinstance(body, ast.ClassDef):
        for before, after in zip(body.body, body.body[1:], strict=False):
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and after.value.value
            if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and isinstance(said, str):
                texts[before.target.id] = inspect.cleandoc(said)
    return texts


def _default(field: dataclasses.Field[Any]) -> Any:
    """What a field is where nothing is said; MISSING where something must be."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
