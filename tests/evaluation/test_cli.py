"""The verbs as a person or a script meets them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kinochrome.cli import app
from kinochrome.errors import MethodError
from kinochrome.evaluation.cli import _at_once, print_table
from tests.evaluation.data import write_data
from tests.test_cli import run
from tests.test_light_import import command, loaded


def test_a_report_is_written_and_the_means_are_printed(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", {"bear": 4})
    out = tmp_path / "out"
    words = ("--data", data, "--method", "flow", "--protocol", "first-frame", "--metric", "psnr", "--out", out)
    done = run("evaluate", *words, "--set", "flow.quality=fast")
    assert done.returncode == 0, done.stderr.decode()
    table = done.stdout.decode()
    assert "flow" in table and "grey" in table and "psnr" in table
    told = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert told["methods"]["flow"]["clips"]["bear"]["psnr"] > told["methods"]["grey"]["mean"]["psnr"]
    assert told["header"]["options"] == "flow.quality=fast"
    assert (out / "report.html").stat().st_size > 3000


def test_errors_are_one_sentence(tmp_path: Path) -> None:
    words = ("--data", tmp_path, "--protocol", "first-frame", "--out", tmp_path / "out", "--method", "flow")
    done = run("evaluate", *words)
    assert done.returncode == 3 and "holds no clips" in done.stderr.decode()
    for others, text in ((("--grey", "lab"), "lab is unknown"), (("--set", "quality=fast"), "METHOD.OPTION=VALUE")):
        with pytest.raises(MethodError, match=text):
            app(["evaluate", *map(str, words), *others], standalone_mode=False)


def test_a_place_that_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", {"bear": 4})
    (tmp_path / "taken").write_text("a file")
    done = run("evaluate", "--data", data, "--method", "flow", "--protocol", "first-frame", "--out", tmp_path / "taken")
    assert done.returncode == 3 and "taken cannot be made or written" in done.stderr.decode()


def test_a_data_set_is_checked(tmp_path: Path) -> None:
    done = run("data", "check", tmp_path, "--as", "davis-val")
    assert done.returncode == 1
    assert "30 clips are not as they should be" in done.stdout.decode()


def test_names_in_brackets_are_shown_as_they_are(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", {"bear": 2})
    for name in ("out[a]", "out[b]"):
        shutil.copytree(data, tmp_path / name)
    words = ("--data", data, "--results", tmp_path / "out[a]", "--results", tmp_path / "out[b]", "--metric", "psnr")
    shown = run("evaluate", *words, "--protocol", "automatic", "--out", tmp_path / "[red]").stdout.decode()
    assert "out[a]" in shown and "out[b]" in shown
    write_data(tmp_path / "lists", {"x [red]": 1})
    assert "x [red]" in run("data", "check", tmp_path / "lists", "--as", "davis-val").stdout.decode()


def test_a_wide_table_is_split_not_cut(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    names = ["perceptual_distance ↓", "psnr ↑"]
    columns = [(f"a_method_{number}", [("weights missing", False), (f"{number}.5", True)]) for number in range(4)]
    print_table(names, [*columns, ("longer than the whole line, though nothing can be done about that", columns[0][1])])
    shown = capsys.readouterr().out
    assert shown.count("perceptual_distance ↓") == shown.count("psnr ↑") == 5
    assert all(name in shown for name, _ in columns) and shown.count("weights missing") >= 4
    assert max(map(len, shown.splitlines())) <= 50


def test_help_loads_nothing_heavy() -> None:
    for words in (("evaluate", "--help"), ("data", "check", "--help")):
        assert loaded(command(*words)) == []


@pytest.mark.parametrize(("coloured", "device", "expected"), [(False, "cpu", 4), (True, "cpu", 1), (False, "cuda", 1)])
def test_results_alone_are_scored_on_all_cores(coloured, device, expected, monkeypatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert _at_once(None, coloured, device) == expected
    assert _at_once(3, coloured, device) == 3
