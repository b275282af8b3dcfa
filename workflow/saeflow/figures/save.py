"""Figures on disk: PDF and PNG whose bytes depend on the figure alone."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from saeflow.figures.style import use_style
from saeflow.files import write_atomic

_CANVAS = {"png": FigureCanvasAgg, "pdf": FigureCanvasPdf}
# No date, no version of the library that drew it.
_METADATA = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "png": {"Software": None},
}


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as ``stem.pdf`` and ``stem.png``, and return these."""
    paths = []
    for extension in _CANVAS:
        buffer = io.BytesIO()
        with use_style():
            _CANVAS[extension](figure).print_figure(
                buffer, format=extension, metadata=_METADATA[extension]
            )
        path = stem.with_name(f"{stem.name}.{extension}")
        write_atomic(path, buffer.getvalue())
        paths.append(path)
        figure.set_layout_engine("none")  # done, and it takes as long as to draw
    return paths
