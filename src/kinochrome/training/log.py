"""The figures of a run: `log.csv` and, where it is installed, TensorBoard."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from kinochrome.project import write_atomically


class Log:
    """`log.csv` (step, name, value) and TensorBoard's folder, both going on after a step."""

    def __init__(self, folder: Path, step: int) -> None:
        """What was written of later steps is forgotten: they come again."""
        self.path = folder / "log.csv"
        _cut(self.path, step)
        self.board: Any = None
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def add(self, step: int, figures: dict[str, float]) -> None:
        """A line for each figure."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            lines = csv.writer(file, lineterminator="\n")
            lines.writerows([step, name, f"{value:.9g}"] for name, value in figures.items())
        if self.board:
            for name, value in figures.items():
                self.board.add_scalar(name, value, step)

    def close(self) -> None:
        """Ends TensorBoard's file, so that nothing of it is lost."""
        if self.board:
            self.board.close()


def _cut(path: Path, step: int) -> None:
    """Keeps the head and the whole lines up to a step."""
    _, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else [""]
    kept = [line for line in lines if line.endswith("\n") and int(line.partition(",")[0]) <= step]
    write_atomically(path, "".join(["step,name,value\n", *kept]).encode())
