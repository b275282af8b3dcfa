import itertools

import matplotlib as mpl
import numpy as np
import pytest

from saeflow import registry
from saeflow.figures.style import (
    ARCHITECTURES,
    METHODS,
    SERIES,
    architecture_looks,
    method_looks,
    series_looks,
    use_style,
)

# Machado, Oliveira and Fernandes 2009, full severity, for linear RGB.
SEEN = {
    "all cones": np.eye(3),
    "no red cones": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green cones": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue cones": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def lab(colour, matrix):
    """Return CIE L*a*b* of a colour as somebody sees it."""
    rgb = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(matrix) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = xyz @ seen / [0.9505, 1, 1.089]
    f = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


BOTH = pytest.mark.parametrize("table", [METHODS, ARCHITECTURES])


@BOTH
def test_every_method_and_architecture_has_a_colour_a_marker_and_a_label_of_its_own(table):
    for values in zip(*((*look,)[:3] for look in table.values()), strict=True):
        assert len(set(values)) == len(table)


def test_every_architecture_that_can_be_trained_has_a_look():
    names = registry.names("sae.architectures")
    assert set(names) == set(ARCHITECTURES) == set(architecture_looks(names))


@BOTH
def test_they_can_be_told_apart_with_any_colour_vision(table):
    for kind, matrix in SEEN.items():
        for (a, first), (b, second) in itertools.combinations(table.items(), 2):
            distance = np.linalg.norm(lab(first.colour, matrix) - lab(second.colour, matrix))
            assert distance > 8, (kind, a, b, distance)


def test_methods_come_in_the_order_of_the_table_and_unknown_names_get_spare_looks():
    looks = method_looks(["mine", "decoder", "original", "also-mine"])
    assert list(looks) == ["original", "decoder", "also-mine", "mine"]
    assert looks["mine"].label == "mine"
    known = {look.colour for look in METHODS.values()}
    assert len({looks["mine"].colour, looks["also-mine"].colour} | known) == len(known) + 2


def test_what_is_called_after_a_method_has_its_colour_and_marker_and_stands_beside_it():
    looks = method_looks(["scale-exact", "decoder", "scale", "scale-slow", "unrotated_all-exact"])
    assert list(looks) == ["scale", "scale-exact", "scale-slow", "decoder", "unrotated_all-exact"]
    assert {looks[n][:2] for n in ("scale", "scale-exact", "scale-slow")} == {METHODS["scale"][:2]}
    assert looks["scale-exact"].label == "scale, exact"
    assert looks["scale-exact"].point()["fillstyle"] == "none"


def test_no_two_methods_look_the_same_however_many_there_are():
    names = [*METHODS, *(f"{n}-exact" for n in METHODS), *(f"mine-{i:02}" for i in range(20))]
    looks = method_looks(names).values()
    for drawn in ("point", "bar", "line"):
        kinds = [frozenset(getattr(look, drawn)().items()) for look in looks]
        assert len(set(kinds)) == len(kinds), drawn


def test_lines_differ_also_when_there_are_more_than_colours():
    names = [f"recipe-{i}" for i in range(3 * len(SERIES))]
    assert len(set(series_looks(names).values())) == len(names)


def test_the_style_is_the_files_own_and_ends_with_its_context():
    before = mpl.rcParams["font.size"]
    with mpl.rc_context({"lines.linewidth": 17}):
        with use_style():
            assert mpl.rcParams["lines.linewidth"] == 1.2
            assert mpl.rcParams["pdf.fonttype"] == 42
        assert mpl.rcParams["lines.linewidth"] == 17
    assert mpl.rcParams["font.size"] == before
