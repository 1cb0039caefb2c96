"""From files of choices to the table: counts, the interval against values computed by hand, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kinochrome.errors import HintError
from kinochrome.evaluation.preferences import Choice, overall, pairs, read, wilson, write
from tests.test_cli import run
from tests.test_light_import import command, loaded

FILMS = {
    "a1": ("flow", "bear"), "b1": ("other", "bear"), "c1": ("third", "bear"),
    "a2": ("flow", "dog"), "b2": ("other", "dog"), "c2": ("third", "dog"),
}  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out" / "blind").mkdir(parents=True)
    key = {token: {"method": method, "clip": clip, "frames": [0, 4]} for token, (method, clip) in FILMS.items()}
    (tmp_path / "out" / "blind" / "key.json").write_text(json.dumps(key))
    return tmp_path / "out"


def saved(folder: Path, name: str, *choices: tuple[str, str, str]) -> Path:
    lines = [{"left": left, "right": right, "choice": choice} for left, right, choice in choices]
    file = folder / f"choices-{name}.json"
    file.write_text(json.dumps({"page": "x", "name": name, "choices": lines}))
    return file


@pytest.mark.parametrize(
    ("wins", "count", "bounds"),
    [
        # z² = 3.84146. 8 of 10: (0.8 + 0.192073 ± 1.95996 √(0.016 + 0.0096036)) / 1.384146
        (8, 10, (0.490162, 0.943318)),
        # 5 of 10 is even: 0.5 ± 1.95996 √(0.025 + 0.0096036) / 1.384146
        (5, 10, (0.236593, 0.763407)),
        # None of n: 0 to z² / (n + z²); all of n: n / (n + z²) to 1.
        (0, 10, (0.0, 0.277533)),
        (1, 1, (0.206549, 1.0)),
    ],
)
def test_the_interval_is_wilsons(wins: int, count: int, bounds: tuple[float, float]) -> None:
    assert wilson(wins, count) == pytest.approx(bounds, abs=2e-6)


def test_the_interval_is_the_one_in_the_literature() -> None:
    """Newcombe (1998), 81 of 263: 0.2553 to 0.3662."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_choices_are_counted(out: Path) -> None:
    anna = saved(out, "anna", ("a1", "b1", "left"), ("b2", "a2", "right"), ("c1", "a1", "none"))
    ben = saved(out, "ben", ("b1", "a1", "left"), ("c2", "b2", "right"))
    choices, people = read(out, [anna, ben])
    assert people == ["anna", "ben"] and len(choices) == 5
    counts = {one.method: (one.wins, one.losses, one.ties) for one in overall(choices)}
    assert counts == {"flow": (2, 1, 1), "other": (2, 2, 0), "third": (0, 1, 1)}
    assert [one.method for one in overall(choices)] == ["flow", "other", "third"], "the most preferred first"
    by_pair = {(one.method, one.other): (one.wins, one.losses, one.ties) for one in pairs(choices)}
    assert by_pair == {("flow", "other"): (2, 1, 0), ("flow", "third"): (0, 0, 1), ("other", "third"): (1, 0, 0)}


def test_ties_alone_have_no_share() -> None:
    (one,) = pairs([Choice("flow", "other", None)])
    assert one.share is None and one.interval is None and one.ties == 1


def test_a_pair_that_the_better_method_lost_is_turned_around() -> None:
    choices = [Choice("a", "b", "b"), *[Choice("a", "c", "a")] * 3, *[Choice("b", "c", "c")] * 2]
    first = next(one for one in pairs(choices) if {one.method, one.other} == {"a", "b"})
    assert overall(choices)[0].method == "a"
    assert (first.method, first.other, first.wins, first.losses) == ("b", "a", 1, 0)


def test_any_name_leaves_the_table_whole(out: Path) -> None:
    key = out / "blind" / "key.json"
    key.write_text(key.read_text().replace("other", "an|other"))
    table, _ = write(out, *read(out, [saved(out, "anna", ("a1", "b1", "left"))]))
    assert r"| flow | an\|other | 1 | 0 | 0 |" in table.read_text(encoding="utf-8")


def test_both_files_are_written(out: Path) -> None:
    choices, people = read(out, [saved(out, "anna", ("a1", "b1", "left"), ("a1", "c1", "none"))])
    table, told = write(out, choices, people)
    text = table.read_text(encoding="utf-8")
    assert "2 choices of 1 person." in text
    assert "| flow | other | 1 | 0 | 0 | 100.0% | 20.7% to 100.0% |" in text
    assert "| flow | third | 0 | 0 | 1 | – | – |" in text
    words = json.loads(told.read_text(encoding="utf-8"))
    assert words["people"] == 1 and words["choices"] == 2 and words["level"] == 0.95
    first = words["overall"][0]
    assert first.pop("interval") == pytest.approx([0.206549, 1.0], abs=2e-6)
    assert first == {"method": "flow", "wins": 1, "losses": 0, "ties": 1, "share": 1.0}


def test_the_verb_prints_the_table(out: Path) -> None:
    done = run("preferences", out, saved(out, "anna", ("a1", "b1", "right")))
    assert done.returncode == 0, done.stderr.decode()
    assert "other" in done.stdout.decode() and "100.0%" in done.stdout.decode()
    assert (out / "preferences.md").is_file() and "1 choice of 1 person" in done.stderr.decode()
    assert loaded(command("preferences", "--help")) == []


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ([("zz", "a1", "left")], "no film 'zz' is known here"),
        ([("a1", "b1", "left"), ("b1", "a1", "none")], "choice 2: this pair was chosen from before"),
        ([("a1", "b1", "perhaps")], "a `choice` of left, right, none"),
        ([("a1", "a2", "left")], "not of two methods on one clip"),
        ([("a1", "b2", "left")], "not of two methods on one clip"),
        ([], "holds no choices"),
    ],
)
def test_choices_that_no_page_saved_are_refused(
    out: Path, choices: list[tuple[str, str, str]], text: str
) -> None:  # fmt: skip
    with pytest.raises(HintError, match=text):
        read(out, [saved(out, "anna", *choices)])


@pytest.mark.parametrize(
    ("content", "text"),
    [("{", "is damaged"), ("[]", "needs a `name`"), ('{"name": "a", "choices": 3}', "needs a `name`")],
)
def test_damaged_files_are_refused(out: Path, content: str, text: str) -> None:
    file = out / "choices-a.json"
    file.write_text(content)
    with pytest.raises(HintError, match=text):
        read(out, [file])
    with pytest.raises(HintError, match="cannot be read"):
        read(out, [out / "choices-none.json"])


def test_nobody_votes_twice(out: Path) -> None:
    file = saved(out, "anna", ("a1", "b1", "left"))
    again = out / "choices-again.json"
    again.write_text(file.read_text())
    with pytest.raises(HintError, match="both by 'anna'"):
        read(out, [file, again])


def test_keys_that_name_nothing_to_compare_are_refused(out: Path, tmp_path: Path) -> None:
    file = saved(out, "anna", ("a1", "b1", "left"))
    with pytest.raises(HintError, match=r"holds no blind/key\.json"):
        read(tmp_path, [file])
    with pytest.raises(HintError, match=rf"Name .*{re.escape(out.name)}\."):
        read(out / "blind", [file])
    key = out / "blind" / "key.json"
    key.write_text('{"a1": {"method": "flow", "clip": "bear", "frames": [0, 4]}}')
    with pytest.raises(HintError, match="fewer than two methods"):
        read(out, [file])
    key.write_text('{"a1": 3}')
    with pytest.raises(HintError, match="damaged"):
        read(out, [file])
