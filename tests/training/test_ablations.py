"""Ablations: every row is a training of its own, finished once, and measured as all else is."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from kinochrome import cli, weights
from kinochrome.errors import KinochromeError, MethodError, TrainingError, VideoError
from kinochrome.evaluation import evaluate
from kinochrome.training import ablations

from . import tiny

TABLES = """
[ablations."without square"]
loss = {square = 0.0}
[ablations."a small [key]"]
network = {key = 8}
"""
ROWS = ["complete", "without square", "a small [key]"]
SLUGS = ["complete", "without-square", "a-small-key"]
METRICS = ("psnr", "cdc")


def a_study(folder: Path, tables: str = TABLES, **changes: Any) -> ablations.Study:
    """Two ablations of the tiny recipe, two steps each, measured on a clip that is long enough for CDC."""
    data, clips = folder / "data", folder / "clips"
    if not data.exists():
        tiny.footage(data)
        (tiny.footage(clips, (1, 9)) / "film0.mkv").unlink()
    recipe = tiny.recipe(folder / "mine.toml", steps=9, **changes)
    recipe.write_text(recipe.read_text(encoding="utf-8") + tables, encoding="utf-8")
    job = evaluate.Job(clips, folder / "study", "first-and-last", metrics=METRICS)
    return ablations.Study(recipe, (data,), job, 2)


def run(study: ablations.Study, stop_at: tuple[str, int] = ("", 0)) -> tuple[ablations.Findings, list[tuple[str, Any]]]:
    """What is found, and what was told; stopped like by Ctrl-C at a step of a variant."""
    events: list[tuple[str, Any]] = []
    name = ""

    def tell(event: str, data: dict[str, Any]) -> None:
        nonlocal name
        name = data.get("name", name)
        events.append((event, name if event == "variant" else data.get("step")))
        if event == "step" and (name, data["step"]) == stop_at:
            raise KeyboardInterrupt

    found = ablations.run(study, tell)
    ablations.write(found, study.job.out)
    return found, events


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[ablations.Study, ablations.Findings, list[tuple[str, Any]]]:
    """A study to its end; tests that change it take a copy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    study = a_study(tmp_path_factory.mktemp("ablations"))
    found, events = run(study)
    torch.set_num_threads(threads)
    return study, found, events


Done = tuple[ablations.Study, ablations.Findings, list[tuple[str, Any]]]


def copied(done: Done, folder: Path) -> ablations.Study:
    """The finished study in another place."""
    shutil.copytree(done[0].recipe.parent, folder, dirs_exist_ok=True)
    return a_study(folder)


# --- What is found ---


def test_every_variant_is_trained_and_measured_in_order(done: Done) -> None:
    _, found, events = done
    assert [one for one in events if one[0] != "scored"] == [
        event for name in ROWS for event in (("variant", name), ("step", 1), ("step", 2))
    ]
    assert events.count(("scored", None)) > 0 and events[-1] == ("scored", None)
    assert [name.removesuffix(" †") for name, _, _ in found.lines()] == [*ROWS, "grey", "copy", "truth"]
    assert [steps for _, steps, _ in found.lines()] == ["2", "2", "2", "-", "-", "-"]
    assert found.heading == "Ablations of mine: 2 steps, batch 2, seed 1"


def test_the_figures_are_those_of_an_evaluation(done: Done, tmp_path: Path) -> None:
    study, found, _ = done
    for row, slug in zip(ROWS, SLUGS, strict=True):
        file = study.job.out / "runs" / slug / "last.safetensors"
        job = replace(study.job, out=tmp_path / slug, methods=("kino",), options={"kino.weights": str(file)})
        alone = evaluate.evaluate(job)
        assert alone.means["kino"] == found.evaluation.means[row] and set(alone.means["kino"]) == set(METRICS)
        for baseline in ("grey", "copy", "truth"):
            assert alone.means[baseline] == found.evaluation.means[baseline]
    for metric in METRICS:
        figures = [found.evaluation.means[row][metric] for row in ROWS]
        assert None not in figures and len(set(figures)) == 3, "other weights, other figures"


def test_what_is_no_variant_is_measured_once(done: Done) -> None:
    reports = done[0].job.out / "reports"
    for row in ("grey", "copy", "truth"):
        files = [reports / slug / "scores" / row / "film1.npz" for slug in SLUGS]
        assert len({file.stat().st_mtime_ns for file in files}) == 1, "the others have copies of the first"


def test_three_files_say_the_same(done: Done) -> None:
    study, found, _ = done
    out = study.job.out
    with (out / "ablations.csv").open(newline="", encoding="utf-8") as file:
        head, *lines = csv.reader(file)
    assert head == ["variant", "steps", "psnr", "cdc"]
    assert [line[:2] for line in lines] == [*([row, "2"] for row in ROWS), ["grey", ""], ["copy", ""], ["truth", ""]]
    means = found.evaluation.means
    assert [float(line[2]) for line in lines[:5]] == [means[row]["psnr"] for row in [*ROWS, "grey", "copy"]]
    told = json.loads((out / "ablations.json").read_text(encoding="utf-8"))
    assert told["training"] == {"method": "kino", "steps": 2, "batch": 2, "seed": 1, "data": ["data"]}
    assert told["variants"]["without square"] == {
        "steps": 2,
        "overrides": {"loss": {"square": 0.0}},
        "weights": "runs/without-square/last.safetensors",
    }
    assert told["evaluation"]["methods"]["a small [key]"]["mean"] == means["a small [key]"]
    page = (out / "ablations.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {found.heading}\n") and "- **a small [key]**: network.key = 8\n" in page
    assert "kino.weights" not in page and "|  | steps | psnr ↑ | cdc ↓ |\n| --- | --: | --: | --: |\n| complete" in page
    assert all((out / "reports" / slug / "report.html").is_file() for slug in SLUGS)


def test_every_row_has_weights_of_its_own_training(done: Done) -> None:
    study, _, _ = done
    read = [weights.read(study.job.out / "runs" / slug / "last.safetensors") for slug in SLUGS]
    complete, square, key = (weights.read_header(study.job.out / "runs" / s / "last.safetensors") for s in SLUGS)
    assert complete.options == square.options == {"widths": [8, 8, 16, 16], "key": 16} and key.options["key"] == 8
    assert "'square': 1.0" in complete.recipe and "'square': 0.0" in square.recipe and "'square': 1.0" in key.recipe
    assert all("step 2 of 2" in one.recipe and "'seed': 1" in one.recipe for one in (complete, square, key))
    assert any(not torch.equal(read[0][name], read[1][name]) for name in read[0])
    assert any(read[0][name].shape != read[2][name].shape for name in read[0])


# --- Given again ---


def test_the_same_command_again_trains_and_measures_nothing(done: Done, tmp_path: Path) -> None:
    study = copied(done, tmp_path)
    first, _ = run(study)
    kept = {path: path.stat().st_mtime_ns for path in study.job.out.rglob("*.safetensors")}
    again, events = run(study)
    assert events == [("variant", name) for name in ROWS]
    assert {path: path.stat().st_mtime_ns for path in study.job.out.rglob("*.safetensors")} == kept and len(kept) == 3
    assert again.evaluation.means == first.evaluation.means == done[1].evaluation.means


def test_a_study_that_was_stopped_goes_on_as_if_it_had_not_been(done: Done, tmp_path: Path) -> None:
    study = a_study(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(study, stop_at=("without square", 1))
    found, events = run(study)
    assert [event for event in events if event[0] == "step"] == [("step", 2), ("step", 1), ("step", 2)]
    assert found.evaluation.means == done[1].evaluation.means
    for slug in SLUGS:
        ours, theirs = (tiny.files_of(one.job.out / "runs" / slug) for one in (study, done[0]))
        assert ours == theirs


def test_figures_of_former_weights_are_forgotten(done: Done, tmp_path: Path) -> None:
    study = copied(done, tmp_path)
    # Here it has figures of weights that lie in the very places of those to come.
    run(study)
    shutil.rmtree(study.job.out / "runs")
    found, events = run(replace(study, steps=1))
    assert events.count(("step", 1)) == 3
    assert all(found.evaluation.means[row]["psnr"] != done[1].evaluation.means[row]["psnr"] for row in ROWS)


# --- What is refused ---


def test_weights_of_another_training_stand_in_no_table(done: Done, tmp_path: Path) -> None:
    study = copied(done, tmp_path)
    runs = study.job.out / "runs"
    shutil.copy(runs / "complete/last.safetensors", runs / "without-square/last.safetensors")
    with pytest.raises(TrainingError, match=r"without-square/last\.safetensors was not made by .*without-square\.toml"):
        run(study)


def test_a_run_of_another_recipe_is_not_mixed_in(done: Done, tmp_path: Path) -> None:
    study = copied(done, tmp_path)
    for other in (replace(study, steps=3), a_study(tmp_path, rate=1e-3)):
        with pytest.raises(TrainingError, match=r"runs/complete was trained by another recipe than 'complete' is now"):
            run(other)
    other = a_study(tmp_path, TABLES.replace("0.0", "0.5"))
    with pytest.raises(TrainingError, match=r"runs/without-square was trained by another recipe"):
        run(other)


def test_an_ablation_that_comes_later_leaves_the_others_as_they_are(done: Done, tmp_path: Path) -> None:
    copied(done, tmp_path)
    study = a_study(tmp_path, TABLES + '[ablations."without prior"]\nloss = {prior = 0}\n')
    _, events = run(study)
    assert [event for event in events if event[0] == "step"] == [("step", 1), ("step", 2)]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ("", r"mine\.toml has no table \[ablations\].*add \[ablations\.\"without recall\"\]"),
        ("[ablations.Complete]\nloss = {square = 0}\n", "'Complete' is the name of another row"),
        ("[ablations.grey]\nloss = {square = 0}\n", "'grey' is the name of another row"),
        ('[ablations."?"]\nloss = {square = 0}\n', r"'\?' is the name of another row, or none"),
        (
            "[ablations.a-b]\nloss = {square = 0}\n[ablations.a_b]\nloss = {recall = 0}\n",
            "ablation 'a_b': 'a_b' is the name of another row",
        ),
        (TABLES + "[ablations.x]\nnetwork = {keys = 8}\n", r"ablation 'x': there is no 'keys'; did you mean 'key'\?"),
        (TABLES + "[ablations.x]\nloss = {edge = 1.0}\n", r"ablation 'x': \[loss\] has no edge"),
        (TABLES + "[ablations.x]\nnetwork = {key = 0}\n", r"ablation 'x': network\.key = 0 must be at least 1"),
        (TABLES + "[ablations.x]\nlesson = {side = 40}\n", r"ablation 'x': lesson\.side = 40 must be a multiple of 16"),
        (TABLES + "[ablations.x]\ncritic = {rate = 1.0}\n", r"x\.toml: kino learns without a critic"),
    ],
)
def test_what_is_wrong_shows_before_anything_is_trained(tmp_path: Path, tables: str, said: str) -> None:
    study = a_study(tmp_path, tables)
    with pytest.raises(TrainingError, match=said):
        run(study)
    assert not (study.job.out / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "first"}, "first"),
        ({"metrics": ("psnrr",)}, "did you mean 'psnr'"),
        ({"clips": ("film9",)}, "holds no clip 'film9'"),
        ({"options": {"kino.weights": "x"}}, "every variant is measured with its own weights"),
    ],
)
def test_what_cannot_be_measured_is_not_trained(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    study = a_study(tmp_path)
    with pytest.raises(KinochromeError, match=said):
        run(replace(study, job=replace(study.job, **changes)))
    assert not study.job.out.exists()


@pytest.mark.parametrize(("learnt", "measured"), [("data", "data"), ("data", "data/in"), ("clips/film1.mkv", "clips")])
def test_what_is_learnt_from_measures_nothing(tmp_path: Path, learnt: str, measured: str) -> None:
    study = a_study(tmp_path)
    shutil.copytree(study.job.data, tmp_path / "data/in")
    with pytest.raises(TrainingError, match="what is learnt from measures nothing"):
        run(replace(study, data=(tmp_path / learnt,), job=replace(study.job, data=tmp_path / measured)))


def test_a_study_is_not_learnt_from_and_leaves_nothing_where_it_cannot_begin(tmp_path: Path) -> None:
    study = a_study(tmp_path)
    with pytest.raises(TrainingError, match=r"--out .*data/study lies within .*data"):
        run(replace(study, job=replace(study.job, out=tmp_path / "data/study")))
    (tmp_path / "data/gone.png").symlink_to(tmp_path / "gone")
    with pytest.raises(VideoError, match=r"gone\.png is a link to what is not there"):
        run(study)
    assert not study.job.out.exists() and not (tmp_path / "data/study").exists()


def test_every_variant_is_checked_before_any_data_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablations, "Footage", None)
    study = a_study(tmp_path, TABLES + "[ablations.x]\nlesson = {jump = -1}\n")
    with pytest.raises(TrainingError, match=r"mine\.toml, ablation 'x': lesson\.jump = -1 must be at least 0"):
        run(study)
    assert not study.job.out.exists()


def test_a_method_that_takes_no_weights(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="flow has no option `weights`"):
        run(a_study(tmp_path, method="flow"))


def test_one_process_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="leave out torchrun"):
        run(a_study(tmp_path))


# --- The command ---


def words_of(study: ablations.Study, *others: object) -> list[str]:
    words = ["--data", study.job.data, "--protocol", "first-and-last", "--metric", "psnr", "--out", study.job.out]
    return ["evaluate", *map(str, [*words, *others])]


def test_one_command_does_it_all(done: Done, tmp_path: Path) -> None:
    study = copied(done, tmp_path)
    words = words_of(study, "--ablations", study.recipe, "--train-data", study.data[0], "--steps", 2)
    told = CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert "Ablations of mine: 2 steps, batch 2, seed 1\n" in told.output and "2 of 3: without square" in told.output
    lines = [line.split() for line in told.stdout.splitlines()]
    psnr = done[1].evaluation.means["a small [key]"]["psnr"]
    row = next(line for line in lines if line[:3] == ["a", "small", "[key]"])
    assert row[-2:] == ["2", f"{psnr:.2f}" if psnr and psnr >= 10 else f"{psnr:.4g}"]
    assert any(line[:2] == ["grey", "-"] or line[:3] == ["grey", "†", "-"] for line in lines)
    assert (study.job.out / "ablations.md").exists()


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*words: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ablations, "run", stopped)
    study = a_study(tmp_path)
    told = CliRunner().invoke(cli.app, words_of(study, "--ablations", study.recipe, "--train-data", study.data[0]))
    assert told.exit_code != 0 and "Give the same command again" in " ".join(told.output.split())


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (("--ablations", "mine.toml"), "say on what with --train-data"),
        (("--train-data", "x"), "name its recipe, too"),
        (("--steps", 0), "name its recipe, too"),
        (("--ablations", "mine.toml", "--method", "flow"), "Leave out --method"),
        (("--ablations", "mine.toml", "--results", "x"), "--results"),
        (("--ablations", "mine.toml", "--blind"), "--blind"),
        (("--ablations", "mine", "--train-data", "x"), "There is no recipe 'mine'"),
    ],
)
def test_words_that_do_not_go_together(tmp_path: Path, others: tuple[object, ...], said: str) -> None:
    study = a_study(tmp_path)
    with pytest.raises((TrainingError, MethodError), match=said):
        CliRunner().invoke(cli.app, words_of(study, *others), catch_exceptions=False)
