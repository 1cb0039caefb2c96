"""From what people chose on blind pages to a table of preference with its interval."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import NormalDist
from typing import Any

from kinochrome.errors import HintError
from kinochrome.project import write_atomically

from .table import markdown_table

FOLDER, KEY = "blind", "key.json"
"""Where the page, its films and the key to their names lie in a report's folder."""

LEVEL = 0.95
"""Of the interval."""

NOTE = (
    "share: wins of all choices that are not ties, with the Wilson interval of 95 %. It takes every choice as "
    "independent; several by one person, or on one clip, are less so, and the true interval is then wider."
)

HEAD = ("method", "over", "wins", "losses", "ties", "share", "95 %")

CHOICES = ("left", "right", "none")

Film = tuple[str, str, int]
"""Method, clip and first frame."""


@dataclass(frozen=True)
class Choice:
    """What one person said of one pair; without a winner it is a tie."""

    first: str
    second: str
    winner: str | None


@dataclass(frozen=True)
class Preference:
    """How often one method was chosen over another, or over all others."""

    method: str
    other: str | None
    """None: all others."""
    wins: int
    losses: int
    ties: int

    @property
    def share(self) -> float | None:
        """Of choices that are not ties; None where there is none."""
        decided = self.wins + self.losses
        return self.wins / decided if decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        decided = self.wins + self.losses
        return wilson(self.wins, decided) if decided else None


def wilson(wins: int, count: int, level: float = LEVEL) -> tuple[float, float]:
    """Lower and upper bound, 0..1, of a share that is seen as `wins` of `count` (at least 1)."""
    score = NormalDist().inv_cdf(0.5 + level / 2)
    share, square = wins / count, score * score / count
    middle = share + square / 2
    half = score * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(0.0, (middle - half) / (1 + square)), min(1.0, (middle + half) / (1 + square))


def overall(choices: Sequence[Choice]) -> list[Preference]:
    """Each method against all others, the most preferred first."""
    found = [_counted(choices, method, None) for method in _methods(choices)]
    return sorted(found, key=lambda one: (-(one.share if one.share is not None else -1), one.method))


def pairs(choices: Sequence[Choice]) -> list[Preference]:
    """Each pair of methods that was shown; in it, the more preferred first."""
    order = [one.method for one in overall(choices)]
    found = [_counted(choices, *both) for both in combinations(order, 2)]
    return [_winner_first(one) for one in found if one.wins + one.losses + one.ties]


def _methods(choices: Iterable[Choice]) -> list[str]:
    return sorted({name for choice in choices for name in (choice.first, choice.second)})


def _counted(choices: Iterable[Choice], method: str, other: str | None) -> Preference:
    wins = losses = ties = 0
    for choice in choices:
        both = {choice.first, choice.second}
        if method in both and (other is None or other in both):
            wins += choice.winner == method
            ties += choice.winner is None
            losses += choice.winner not in (method, None)
    return Preference(method, other, wins, losses, ties)


def _winner_first(one: Preference) -> Preference:
    if one.other is None or one.wins >= one.losses:
        return one
    return Preference(one.other, one.method, one.losses, one.wins, one.ties)


# --- Reading ---


def read(out: Path, files: Sequence[Path]) -> tuple[list[Choice], list[str]]:
    """All choices of a report's blind page, and who made them."""
    films = _read_key(out)
    choices: list[Choice] = []
    people: dict[str, Path] = {}
    for file in files:
        told = _read_file(file)
        name = told["name"]
        if name in people:
            raise HintError(f"{people[name]} and {file} are both by {name!r}. Give one file a person, or rename one.")
        people[name] = file
        found = _choices_of(told["choices"], films, file)
        if not found:
            raise HintError(f"{file} holds no choices. Leave it out, or choose on the page and save again.")
        choices += found
    return choices, list(people)


def _read_key(out: Path) -> dict[str, Film]:
    path = out / FOLDER / KEY
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        films = {token: (film["method"], film["clip"], film["frames"][0]) for token, film in told.items()}
    except OSError as error:
        above = f" Name {out.absolute().parent}." if (out / KEY).is_file() else ""
        raise HintError(
            f"{out} holds no {FOLDER}/{KEY}: name the folder that `kinochrome evaluate --blind --out` wrote.{above}"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise HintError(f"{path} is damaged. `kinochrome evaluate --blind` writes it anew.") from error
    if len(methods := {method for method, _, _ in films.values()}) < 2:
        raise HintError(f"{path} names fewer than two methods ({', '.join(methods)}): there is nothing to prefer.")
    return films


def _read_file(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise HintError(f"{file} cannot be read ({error.strerror}). The page saves it as choices-NAME.json.") from error
    except ValueError as error:
        raise HintError(f"{file} is damaged: {error}. Save it again from the page.") from error
    if not isinstance(told, dict) or not isinstance(told.get("name"), str) or not isinstance(told.get("choices"), list):
        raise HintError(f"{file} holds no choices of a blind page: it needs a `name` and `choices`.")
    return told


def _choices_of(told: Sequence[Any], films: Mapping[str, Film], file: Path) -> list[Choice]:
    seen: set[frozenset[str]] = set()
    choices = []
    for number, line in enumerate(told, start=1):
        place = f"{file}, choice {number}"
        choice = _choice_of(line, films, place)
        pair = frozenset((line["left"], line["right"]))
        if pair in seen:
            raise HintError(f"{place}: this pair was chosen from before. Leave one of the two.")
        seen.add(pair)
        choices.append(choice)
    return choices


def _choice_of(line: Any, films: Mapping[str, Film], place: str) -> Choice:
    if not isinstance(line, dict) or line.get("choice") not in CHOICES:
        raise HintError(f"{place} is damaged: it needs `left`, `right`, and a `choice` of {', '.join(CHOICES)}.")
    shown = []
    for side in ("left", "right"):
        token = line.get(side)
        if not isinstance(token, str) or token not in films:
            raise HintError(
                f"{place}: no film {token!r} is known here. The file belongs to another page, or results have changed "
                "since: choose again on the page that is there now."
            )
        shown.append(films[token])
    left, right = shown
    if left[0] == right[0] or left[1:] != right[1:]:
        raise HintError(f"{place} is damaged: its films are not of two methods on one clip, so no page showed them.")
    winner = {"left": left[0], "right": right[0], "none": None}[line["choice"]]
    return Choice(left[0], right[0], winner)


# --- Writing ---


def write(out: Path, choices: Sequence[Choice], people: Sequence[str]) -> list[Path]:
    """preferences.md and preferences.json in the report's folder."""
    told = {
        "people": len(people),
        "choices": len(choices),
        "level": LEVEL,
        "overall": [_as_json(one) for one in overall(choices)],
        "pairs": [_as_json(one) for one in pairs(choices)],
    }
    texts = {
        "preferences.md": as_markdown(choices, people),
        "preferences.json": json.dumps(told, indent=1, ensure_ascii=False),
    }
    for name, text in texts.items():
        write_atomically(out / name, text.encode())
    return [out / name for name in texts]


def as_markdown(choices: Sequence[Choice], people: Sequence[str]) -> str:
    lines = ["# Preferences", "", heading(choices, people), ""]
    for title, found in (("Overall", overall(choices)), ("Pair by pair", pairs(choices))):
        lines += [f"## {title}", "", *markdown_table(HEAD, [cells(one) for one in found], words=2), ""]
    return "\n".join([*lines, NOTE]) + "\n"


def heading(choices: Sequence[Choice], people: Sequence[str]) -> str:
    """How many choices of how many people."""
    return f"{len(choices)} {_plural(choices, 'choice')} of {len(people)} {'person' if len(people) == 1 else 'people'}."


def cells(one: Preference) -> list[str]:
    """A line of the table, as texts."""
    share, interval = one.share, one.interval
    return [
        one.method,
        one.other or "all others",
        *map(str, (one.wins, one.losses, one.ties)),
        "–" if share is None else f"{share:.1%}",
        "–" if interval is None else f"{interval[0]:.1%} to {interval[1]:.1%}",
    ]


def _as_json(one: Preference) -> dict[str, Any]:
    other = {} if one.other is None else {"other": one.other}
    counts = {"wins": one.wins, "losses": one.losses, "ties": one.ties}
    return {"method": one.method, **other, **counts, "share": one.share, "interval": one.interval}


def _plural(items: Sequence[object], word: str) -> str:
    return word if len(items) == 1 else f"{word}s"
