"""Where panels stand, and what each shows."""

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from saeflow.figures.layers import layers_of
from saeflow.figures.panels import cells_of, panel_grid
from saeflow.figures.places import by_hook, by_recipe, by_recipe_and_hook, shown_hooks
from saeflow.figures.style import use_style
from saeflow.figures.texts import fit, inches


def table(hooks, recipes=("a",), models=("m",)):
    rows = [
        {"model": m, "hook": h, "site": h.split(".")[0], "block": int(h.split(".")[1]), "sae": r}
        for m in models
        for r in recipes
        for h in hooks
    ]
    return pd.DataFrame(rows)


def blocks(n, site="resid_post"):
    return [f"{site}.{i}" for i in range(n)]


def laid_out(places, width=1.75):
    """Return the titles in each row, None where a place is empty."""
    cells, n_columns = cells_of(places, [width] * len(places))
    titles = {cell: place.title for cell, place in zip(cells, places, strict=True)}
    n_rows = 1 + max(row for row, _ in cells)
    return [[titles.get((row, column)) for column in range(n_columns)] for row in range(n_rows)]


def test_five_panels_leave_no_third_of_the_figure_empty():
    assert laid_out(by_hook(table(blocks(5)))) == [blocks(5)]
    assert laid_out(by_hook(table(blocks(5))), width=2.5) == [
        blocks(5)[:3], [*blocks(5)[3:], None],
    ]  # fmt: skip


@pytest.mark.parametrize("n", range(1, 49))
def test_few_places_stay_empty_whatever_the_number_of_panels(n):
    for width in (1.75, 1.9, 2.5, 4.4):
        rows = laid_out(by_hook(table(blocks(n))), width)
        cells = [cell for row in rows for cell in row]
        assert cells.count(None) <= len(cells) / 4


def test_hooks_follow_the_model_block_by_block():
    mixed = ["resid_post.1", "mlp_out.0", "resid_post.0", "attn_out.2"]
    assert [place.title for place in by_hook(table(mixed))] == [
        "mlp_out.0", "resid_post.0", "resid_post.1", "attn_out.2",
    ]  # fmt: skip


def test_blocks_with_the_same_sites_have_a_row_each():
    hooks = [*blocks(3), *blocks(3, "mlp_out")]
    rows = [[f"mlp_out.{i}", f"resid_post.{i}"] for i in range(3)]
    assert laid_out(by_hook(table(hooks))) == rows


def test_rows_are_recipes_and_columns_hooks():
    found = laid_out(by_recipe_and_hook(table(blocks(2), recipes=("a", "b"))))
    assert found == [[f"{hook}, {recipe}" for hook in blocks(2)] for recipe in ("a", "b")]
    # one below the other they would make a tall and narrow figure
    found = laid_out(by_recipe_and_hook(table(blocks(1), recipes=("a", "b"))))
    assert found == [["resid_post.0, a", "resid_post.0, b"]]


def test_the_sites_of_a_recipe_stand_beside_one_another_as_in_the_model():
    places = by_recipe(table([*blocks(2), *blocks(3, "attn_out")], recipes=("a", "b")))
    assert laid_out(places) == [[f"{r}, attn_out", f"{r}, resid_post"] for r in ("a", "b")]
    layers = layers_of(places, 0.5)
    assert [layers.blocks(place) for place in places[:2]] == [[0, 1, 2], [0, 1]]
    assert layers.widths[0] > layers.widths[1]  # a layer is as wide in both


def test_panels_are_where_they_were_laid_out_with_labels_outside():
    with use_style():
        grid = panel_grid(by_hook(table(blocks(3))), size=(4.0, 1.5))
        grid.label(x="across", y="up")
    shown = [(ax.get_title(loc="left"), ax.get_ylabel(), ax.get_xlabel()) for ax in grid.axes]
    # two beside one another; below the second there is none
    assert shown == [
        ("resid_post.0", "up", ""), ("resid_post.1", "", "across"),
        ("resid_post.2", "up", "across"),
    ]  # fmt: skip
    assert [ax.get_visible() for ax in grid.figure.axes] == [True, True, True, False]


def test_each_model_begins_a_row():
    found = laid_out(by_hook(table(blocks(2), models=("m", "n"))))
    assert found == [["m, resid_post.0", "m, resid_post.1"], ["n, resid_post.0", "n, resid_post.1"]]


def test_of_more_hooks_than_one_can_look_at_some_are_shown_and_it_is_said():
    every = table(blocks(24))
    assert shown_hooks(every) == (every, ()) or shown_hooks(every)[1] == ()
    rows, (note,) = shown_hooks(every, n_rows=12)
    assert rows["block"].tolist() == [0, 8, 15, 23]
    assert note == "Shown are 4 of 24 hooks, spread over the model; the table has all."
    mixed = table([h for s in ("attn_out", "mlp_out", "resid_post") for h in blocks(24, s)])
    rows, _ = shown_hooks(mixed)
    assert rows.groupby("block")["site"].nunique().eq(3).all() and rows["block"].nunique() == 16


def test_layers_without_room_for_what_stands_there_are_narrow():
    places = by_recipe(table(blocks(24)))
    assert layers_of(places, 0.7).narrow and not layers_of(places, 0.2).narrow
    assert not layers_of(by_recipe(table(blocks(4))), 0.7).narrow


@pytest.mark.parametrize(
    "text", ["short", "three words here", "a-word-that-is-too-long-for-its-place, and others", ""]
)
@pytest.mark.parametrize("room", [0.5, 1.2, 4.0])
def test_a_text_is_made_to_fit(text, room):
    with use_style():
        figure = Figure()
        found = figure.text(0, 0, text, fontsize=8)
        fit(found, room)
        lines = found.get_text().split("\n")
        assert all(inches(line, found.get_fontsize()) <= room + 0.01 for line in lines)
        assert 5.4 <= found.get_fontsize() <= 8
        if room == 4.0:
            assert found.get_text() == text and found.get_fontsize() == 8
        box = found.get_window_extent(FigureCanvasAgg(figure).get_renderer())
        assert box.width <= 1.06 * room * figure.dpi
