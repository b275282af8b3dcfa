import os
import subprocess
import sys

from matplotlib.figure import Figure

from saeflow.figures.save import save_figure

DRAW = """
import sys
from pathlib import Path
from matplotlib.figure import Figure
from saeflow.figures.save import save_figure
figure = Figure(figsize=(2, 2))
figure.subplots().plot([0, 1], [1, 3], label="a")
save_figure(figure, Path(sys.argv[1]) / "figure")
"""


def test_two_processes_write_the_same_bytes(tmp_path):
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        # Another hash seed: sets must not decide about anything.
        subprocess.run(
            [sys.executable, "-c", DRAW, str(tmp_path / name)],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(ord(name))},
        )
        contents.append([(tmp_path / name / f"figure.{e}").read_bytes() for e in ("pdf", "png")])
    assert contents[0] == contents[1]


def test_files_hold_no_date_and_no_version(tmp_path):
    figure = Figure(figsize=(1, 1))
    figure.subplots()
    png, pdf = (path.read_bytes() for path in save_figure(figure, tmp_path / "x.y"))
    assert b"CreationDate" not in pdf and b"Matplotlib" not in pdf
    assert b"Software" not in png and png.startswith(b"\x89PNG")
    assert {p.name for p in tmp_path.iterdir()} == {"x.y.pdf", "x.y.png"}


def test_a_figure_is_laid_out_once_for_both_files(tmp_path, monkeypatch):
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    laid_out = []
    execute = ConstrainedLayoutEngine.execute
    monkeypatch.setattr(
        ConstrainedLayoutEngine, "execute", lambda *given: (laid_out.append(1), execute(*given))
    )
    figure = Figure(figsize=(2, 2), layout="constrained")
    figure.subplots().plot([0, 1])
    save_figure(figure, tmp_path / "x")
    assert len(laid_out) == 1
