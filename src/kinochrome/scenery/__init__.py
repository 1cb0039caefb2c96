"""Four small worlds that the demo film is shot in. Everything is drawn from a seed; nothing is read from disk.

Each scene keeps things of one brightness and different hues side by side, lit and textured, so that colouring it is
a real task. A scene is made as `Scene(height, width, seed)`; `.picture(seconds)` is (h, w, 3) float32 linear light.
"""

from __future__ import annotations

from .brush import develop
from .harbour import Harbour
from .street import Street
from .table import Table
from .valley import Valley

SCENES = (Valley, Table, Street, Harbour)

__all__ = ["SCENES", "Harbour", "Street", "Table", "Valley", "develop"]
