"""What every metric is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from .score import Pair


class Metric:
    """Made anew for each clip, shown its scored frames in order, asked for one figure at the end.

    That figure is the mean of the frames' own, over those that have one, unless a metric says otherwise.
    """

    better: ClassVar[Literal["higher", "lower", "truth"]] = "lower"
    """What to look for; "truth": nearest to the figure of the true film itself."""
    infinite: ClassVar[bool] = False
    """Without a figure it is infinite: nothing differed, and nothing is better."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Of "flow" (the true film's motion), "own_flow" (the result's), "draft", "weights:NAME"."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        """For networks; arithmetic on pixels stays where the pixels are."""
        self._sum = 0.0
        self._count = 0

    def add(self, pair: Pair) -> float | None:
        """The frame's own figure, also kept for the clip's; None where it has none: undefined, or infinite."""
        figure = self.of(pair)
        if figure is not None:
            self._sum += figure
            self._count += 1
        return figure

    def of(self, pair: Pair) -> float | None:
        """The figure of one frame."""
        raise NotImplementedError

    def finish(self) -> float | None:
        """The clip's figure; None where no frame had one."""
        return self._sum / self._count if self._count else None
