"""Recipes: all that come along can be trained; whatever is misspelt, missing or of the wrong kind is named."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from kinochrome import weights
from kinochrome.errors import TrainingError
from kinochrome.training import kino, loop, recipe
from kinochrome.training.data import Footage

from . import tiny

ROOT = Path(__file__).parents[2]
RUN_KEYS = "batch, judge_every, licence, method, precision, save_every, seed, shard_megabytes, steps, workers."
TABLES = "ablations, critic, lesson, loss, network, optimizer, run."
ABLATED = "critic, lesson, loss, network, optimizer."
OPTIMIZER_KEYS = "average, clip, decay, falls, floor, momentum, rate, rates, warmup."
CRITIC_HAS_NO = "there is no '{}'{} The keys that [critic] has: clip, decay, momentum, rate."
LEAST = '[run]\nmethod = "kino"\nsteps = 5\n'


def read(tmp_path: Path, text: str) -> recipe.Recipe:
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    return recipe.read(tmp_path / "mine.toml")


def footage(tmp_path: Path) -> Footage:
    tiny.footage(tmp_path / "data", (24,))
    tiny.photographs(tmp_path / "data")
    return Footage([tmp_path / "data"], tmp_path / "store")


SHIPPED = sorted(recipe.SHIPPED.glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_recipe_that_comes_along_builds_its_task(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the public weights that it asks for were here.
    monkeypatch.setattr(weights, "find", lambda name: Path(name))
    monkeypatch.setattr(weights, "load", lambda make, name, device: make())
    found = recipe.read(path)
    task = loop._task_of(found.run.method, path)(found, path, footage(tmp_path))
    assert sum(one.numel() for one in task.network.parameters()) > 0 and task.options
    assert len(task.examples(0, 1)) == found.run.steps  # type: ignore[arg-type]


def test_a_recipe_has_a_name_or_a_path(tmp_path: Path) -> None:
    assert [recipe.find(path.stem) for path in SHIPPED] == SHIPPED and SHIPPED
    assert recipe.find(str(tmp_path / "mine.toml")) == tmp_path / "mine.toml"
    known = ", ".join(path.stem for path in SHIPPED)
    with pytest.raises(TrainingError, match=rf"There is no recipe 'kina'\. With Kinochrome come: {known}\."):
        recipe.find("kina")


def test_what_is_not_said_has_its_default(tmp_path: Path) -> None:
    found = read(tmp_path, LEAST)
    assert found.run == recipe.Run("kino", 5) and found.optimizer == recipe.Optimizer()
    assert found.network == found.lesson == found.loss == {}


def test_numbers_may_be_whole_and_lists_become_tuples(tmp_path: Path) -> None:
    text = LEAST + "[optimizer]\nrate = 1\nmomentum = [0.8, 0]\n[loss]\ncolour = 2\n"
    found = read(tmp_path, text)
    assert found.optimizer.rate == 1.0 and isinstance(found.optimizer.rate, float)
    assert found.optimizer.momentum == (0.8, 0.0) and found.loss == {"colour": 2.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            LEAST + "stepps = 3\n",
            "there is no 'stepps'; did you mean 'steps'? The keys that [run] has: " + RUN_KEYS,
        ),
        (
            LEAST + "[lesons]\n",
            "there is no 'lesons'; did you mean 'lesson'? The keys that it has: " + TABLES,
        ),
        (
            LEAST + "[optimizer]\nxyz = 3\n",
            "there is no 'xyz'. The keys that [optimizer] has: " + OPTIMIZER_KEYS,
        ),
        ("[optimizer]\n", "the table [run] is missing. It says at least: method, steps."),
        ("[run]\nmethod = 'kino'\n", "[run] lacks steps."),
        ("[run]\nseed = 1\n", "[run] lacks method, steps."),
        ("run = 3\n", "run = 3 must be a table: [run], and its keys below."),
        ("loss = 3\n" + LEAST, "loss = 3 must be a table: [loss], and its keys below."),
        ("[run]\nmethod = 'kino'\nsteps = 2.5\n", "run.steps = 2.5 must be of the kind int."),
        ("[run]\nmethod = 'kino'\nsteps = true\n", "run.steps = True must be of the kind int."),
        ("[run]\nmethod = 7\nsteps = 2\n", "run.method = 7 must be of the kind str."),
        ("[run]\nmethod = 'kino'\nsteps = 0\n", "run.steps = 0 must be at least 1."),
        (LEAST + "save_every = 0\n", "run.save_every = 0 must be at least 1."),
        (LEAST + "workers = -1\n", "run.workers = -1 must be at least 0."),
        (
            LEAST + "precision = 'half'\n",
            "run.precision = 'half': choose one of 'float32', 'bfloat16', 'float16'.",
        ),
        (LEAST + "[optimizer]\nrate = 'high'\n", "optimizer.rate = 'high' must be of the kind float."),
        (LEAST + "[optimizer]\nmomentum = [0.9]\n", "optimizer.momentum = [0.9] must be a list of 2."),
        (LEAST + "[optimizer]\nmomentum = [0.9, 'x']\n", "optimizer.momentum = 'x' must be of the kind float."),
        (LEAST + "[optimizer]\nrates = 3\n", "optimizer.rates = 3 must be a table: {NAME = VALUE}."),
        (
            LEAST + "[optimizer]\nrates = {trunk = 'low'}\n",
            "optimizer.rates.trunk = 'low' must be of the kind float.",
        ),
        (
            LEAST + "[optimizer]\nrates = {trunk.conv = 1}\n",
            "optimizer.rates.trunk = {'conv': 1} must be of the kind float.",
        ),
        (
            LEAST + "[optimizer.rates]\ntrunk = -1\n",
            "optimizer.rates.trunk = -1.0 must be at least 0.",
        ),
        (
            LEAST + "[optimizer.rates]\ntrunk = nan\n",
            "optimizer.rates.trunk = nan must be a finite number, at least 0.",
        ),
        (LEAST + "[optimizer]\nfalls = 0.4\n", "optimizer.falls = 0.4 must be a list."),
        (LEAST + "[optimizer]\nfalls = [0.4, 0.1]\n", "optimizer.falls = 0.4 must be a list."),
        (LEAST + "[optimizer]\nfalls = [[0.4]]\n", "optimizer.falls = [0.4] must be a list of 2."),
        (LEAST + "[optimizer]\nfalls = [[0.4, 'x']]\n", "optimizer.falls = 'x' must be of the kind float."),
        *(
            (
                LEAST + f"[optimizer]\nfalls = [[0.4, 0.1], [{share}, 0.01]]\n",
                f"optimizer.falls has [{share}, 0.01]: its first number is a share of the steps, from 0 to 1.",
            )
            for share in (-0.1, 1.5, 8.0, float("nan"))
        ),
        *(
            (
                LEAST + f"[optimizer]\nfalls = [[0.4, 0.1], [{share}, 0.01]]\n",
                f"optimizer.falls has [{share}, 0.01] after one at 0.4: the shares of the steps must rise.",
            )
            for share in (0.4, 0.3)
        ),
        *(
            (
                LEAST + f"[optimizer]\nfalls = [[0.4, {factor}]]\n",
                f"optimizer.falls has [0.4, {factor}]: its second number is a share of the rate, above 0.",
            )
            for factor in (0.0, -0.1, float("inf"), float("nan"))
        ),
        (LEAST + "[critic]\nrates = {a = 1}\n", CRITIC_HAS_NO.format("rates", "; did you mean 'rate'?")),
        (LEAST + "[critic]\nfalls = []\n", CRITIC_HAS_NO.format("falls", ".")),
        (LEAST + "[loss]\ncolour = 'much'\n", "loss.colour = 'much' must be of the kind float."),
        (
            LEAST + "[critic]\nwarmup = 3\n",
            "there is no 'warmup'. The keys that [critic] has: clip, decay, momentum, rate.",
        ),
        (LEAST + "[critic]\nrate = 'low'\n", "critic.rate = 'low' must be of the kind float."),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TrainingError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'mine.toml'}: {said}"


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        ("run.seed = -1", "at least 0 and at most 18446744073709551615"),
        ("run.seed = 18446744073709551616", "at least 0 and at most 18446744073709551615"),
        ("optimizer.rate = 0.0", "above 0"),
        ("optimizer.rate = -0.001", "above 0"),
        ("optimizer.rate = inf", "a finite number, above 0"),
        ("optimizer.warmup = -1", "at least 0"),
        ("optimizer.floor = 1.5", "at least 0 and at most 1"),
        ("optimizer.floor = -0.1", "at least 0 and at most 1"),
        ("optimizer.decay = -0.1", "at least 0"),
        ("optimizer.clip = 0.0", "above 0"),
        ("optimizer.average = 1.5", "at least 0 and at most 1"),
        ("optimizer.average = nan", "a finite number, at least 0 and at most 1"),
        ("critic.rate = 0.0", "above 0"),
        ("critic.clip = -1.0", "above 0"),
        ("loss.colour = -1.0", "at least 0"),
        ("loss.colour = nan", "a finite number, at least 0"),
        ("loss.colour = inf", "a finite number, at least 0"),
    ],
)
def test_a_number_out_of_its_range_is_named(tmp_path: Path, said: str, allowed: str) -> None:
    name, _, line = said.partition(".")
    text = LEAST if name == "run" else f"{LEAST}[{name}]\n"
    with pytest.raises(TrainingError) as caught:
        read(tmp_path, f"{text}{line}\n")
    assert str(caught.value) == f"{tmp_path / 'mine.toml'}: {said} must be {allowed}."


@pytest.mark.parametrize(("betas", "wrong"), [("[1.0, 0.9]", 1.0), ("[0.9, -0.5]", -0.5), ("[nan, 0.9]", "nan")])
def test_both_of_the_optimizers_betas_are_shares_below_1(tmp_path: Path, betas: str, wrong: object) -> None:
    for name in ("optimizer", "critic"):
        with pytest.raises(TrainingError, match=rf"{name}\.momentum = {wrong} must be .*at least 0 and below 1\."):
            read(tmp_path, f"{LEAST}[{name}]\nmomentum = {betas}\n")


WITHOUT = LEAST + "[loss]\nedge = 1\n[ablations.'no edge']\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            WITHOUT + "los = {edge = 0}\n",
            "there is no 'los'; did you mean 'loss'? The keys that [ablations] has: " + ABLATED,
        ),
        (
            WITHOUT + "run = {steps = 9}\n",
            "there is no 'run'. The keys that [ablations] has: " + ABLATED,
        ),
        (WITHOUT + "loss = 0\n", "loss = 0 must be a table: loss = {KEY = VALUE}."),
        (WITHOUT + "loss = {edge = 'no'}\n", "loss.edge = 'no' must be of the kind float."),
        (
            WITHOUT + "optimizer = {rat = 1}\n",
            "there is no 'rat'; did you mean 'rate'? The keys that [optimizer] has: " + OPTIMIZER_KEYS,
        ),
        (
            WITHOUT + "optimizer = {falls = [[2, 1]]}\n",
            "optimizer.falls has [2.0, 1.0]: its first number is a share of the steps, from 0 to 1.",
        ),
        (WITHOUT, 'write a table [ablations."no edge"], and below it such as loss = {edge = 0.0}.'),
    ],
)
def test_what_is_wrong_in_an_ablation_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TrainingError) as caught:
        read(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'mine.toml'}, ablation 'no edge': {said}"


@pytest.mark.parametrize(
    "said", ["loss = {edge = 1.0}", "loss = {hue = 0}", "optimizer = {rate = 5e-4}", "lesson = {}"]
)
def test_an_ablation_that_changes_nothing_is_refused(tmp_path: Path, said: str) -> None:
    with pytest.raises(TrainingError, match="ablation 'no edge' changes nothing: the recipe says the same already"):
        read(tmp_path, f"{WITHOUT}{said}\n")


def test_rates_of_parts_and_falls_are_read_and_written_as_they_were(tmp_path: Path) -> None:
    said = '[optimizer]\nrates = {trunk = 1e-5, "head.last" = 1}\nfalls = [[0, 1], [0.4, 0.1], [0.8, 0.01]]\n'
    other = '[ablations."all alike"]\noptimizer = {rates = {}, falls = []}\n'
    found = read(tmp_path, LEAST + said + other)
    assert found.optimizer.rates == {"trunk": 1e-5, "head.last": 1.0}
    assert found.optimizer.falls == ((0.0, 1.0), (0.4, 0.1), (0.8, 0.01))
    assert all(isinstance(one, float) for one in found.optimizer.rates.values())
    tables = recipe.tables_of(tmp_path / "mine.toml")
    assert read(tmp_path, recipe.written(tables)) == found
    assert read(tmp_path, recipe.written(recipe.ablated(tables))).optimizer == found.optimizer
    assert read(tmp_path, recipe.written(recipe.ablated(tables, "all alike"))).optimizer == recipe.Optimizer()


def test_an_ablation_overrides_key_by_key() -> None:
    tables = {
        "run": {"method": "kino", "steps": 5},
        "loss": {"colour": 1.0, "edge": 1.0},
        "ablations": {"x": {"loss": {"edge": 0.0}, "network": {"fusion": "mean"}}, "y": {"loss": {"colour": 2.0}}},
    }
    run = {"method": "kino", "steps": 5}
    assert recipe.ablated(tables, "x") == {
        "run": run,
        "loss": {"colour": 1.0, "edge": 0.0},
        "network": {"fusion": "mean"},
    }
    assert recipe.ablated(tables) == {"run": run, "loss": {"colour": 1.0, "edge": 1.0}}
    assert tables["loss"] == {"colour": 1.0, "edge": 1.0}, "it is not changed itself"


def test_what_is_written_is_read_again_as_it_was() -> None:
    tables = {
        "run": {"method": 'a "b" \\ c\n\x7f\x01 é 🎞', "steps": 10**12, "yes": True, "no": False},
        "odd": {"a key": [1, -2.5, [1e-30, 1e22]], "deep": {"x.y": {"z": []}}, "": "", "1": float("inf")},
        "when": {"day": tomllib.loads("x = 1979-05-27T07:32:00.5Z")["x"]},
        "empty": {},
    }
    assert tomllib.loads(recipe.written(tables)) == tables
    for path in SHIPPED:
        assert tomllib.loads(recipe.written(recipe.tables_of(path))) == recipe.tables_of(path)


def test_a_list_may_be_of_any_length(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Shape:
        widths: tuple[int, ...] = ()

    where = tmp_path / "mine.toml"
    for given in ([], [3], [1, 2, 3]):
        assert recipe.build(Shape, {"widths": given}, where, "network") == Shape(tuple(given))
    for value, said in ((3, "= 3 must be a list."), ([1, "x"], "= 'x' must be of the kind int.")):
        with pytest.raises(TrainingError) as caught:
            recipe.build(Shape, {"widths": value}, where, "network")
        assert str(caught.value) == f"{where}: network.widths {said}"


@pytest.mark.parametrize("content", [None, b"[run\n", b"\xff\xfe"])
def test_what_is_no_recipe(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.toml"
    if content:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"mine\.toml cannot be read as a recipe"):
        recipe.read(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[network]\nkey = 0\n[loss]\ncolour = 1\n", "network.key = 0 must be at least 1."),
        (
            "[network]\nwidths = [8, 8, 16, 20]\n[loss]\ncolour = 1\n",
            "network.widths = 20 must be a multiple of 8, at least 8.",
        ),
        ("[lesson]\nframes = 2\n[loss]\ncolour = 1\n", "lesson.frames = 2 must be at least 3: something to colour"),
        ("[lesson]\nside = 40\n[loss]\ncolour = 1\n", "lesson.side = 40 must be a multiple of 16."),
        ("[lesson]\nside = 0\n[loss]\ncolour = 1\n", "lesson.side = 0 must be at least 1."),
        ("[lesson]\njump = -1\n[loss]\ncolour = 1\n", "lesson.jump = -1 must be at least 0."),
        ("[lesson]\nworn = 7\n[loss]\ncolour = 1\n", "lesson.worn = 7.0 must be at least 0 and at most 1."),
        ("[lesson]\nphotos = -0.1\n[loss]\ncolour = 1\n", "lesson.photos = -0.1 must be at least 0 and at most 1."),
        ("[network]\nkeys = 3\n[loss]\ncolour = 1\n", "there is no 'keys'; did you mean 'key'?"),
        ("[lesson]\nside = 1.5\n[loss]\ncolour = 1\n", "lesson.side = 1.5 must be of the kind int"),
        ("[loss]\ncolour = 1\nhue = 1\n", "[loss] has no hue. There are: colour, confidence"),
        ("", "[loss] lacks colour"),
    ],
)
def test_what_the_method_does_not_know_is_named(tmp_path: Path, text: str, said: str) -> None:
    found = read(tmp_path, LEAST + text)
    with pytest.raises(TrainingError) as caught:
        kino.Task.checked(found, tmp_path / "mine.toml")
    assert str(caught.value).startswith(str(tmp_path / "mine.toml")) and said in str(caught.value)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_number_of_a_network_or_a_lesson_has_a_range(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "find", lambda name: Path(name))
    tables = recipe.ablated(recipe.tables_of(path))
    method = loop._task_of(tables["run"]["method"], path)
    lesson, shape = method.checked(recipe.parse(tables, path), path)
    for name, said in (("lesson", asdict(lesson)), ("network", asdict(shape))):
        for key, value in said.items():
            if isinstance(value, str | bool):
                continue
            wrong = [*value[:-1], -1] if isinstance(value, tuple) else -1
            changed = tables | {name: tables.get(name, {}) | {key: wrong}}
            with pytest.raises(TrainingError, match=rf"{name}\.{key} = -1(\.0 must be| must be|: choose one of) "):
                method.checked(recipe.parse(changed, path), path)


# --- The page ---


def test_the_page_is_as_new_as_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import generate

    page = generate.TRAINING.read_text(encoding="utf-8")
    assert page == generate.with_recipe(page), "docs/training.md is older than the code; run `python docs/generate.py`"
    for name in (*kino.LOSSES, *kino.TASKS, "shard_megabytes", "warmup", "widths", "scratches", "guided_smoothness"):
        assert f"`{name}`" in page, f"docs/training.md says nothing of {name}"
