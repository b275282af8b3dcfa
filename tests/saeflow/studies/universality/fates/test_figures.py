"""Figures of fates: what stands where, and that it can be read in any study."""

import numpy as np
import pandas as pd
import pytest

import made_up_pairs
import made_up_study
from made_up_fates import counted, families, noisy, own_saes, widths
from readable import faults, keep
from saeflow.studies.study import WITH, Study
from saeflow.studies.universality.fates import FIGURES, TABLES
from saeflow.studies.universality.fates.factorial import factorial, fate_shares
from saeflow.studies.universality.fates.found import found_by, found_ranked
from saeflow.studies.universality.fates.lineages import lineages
from saeflow.studies.universality.fates.widths import absorption, children
from saeflow.studies.universality.rows import given_own, of_widths
from saeflow.studies.universality.summary import absorbed, fates, shared, shares, split
from saeflow.tables.files import read_csv, write_csv

STUDY = Study("", "", TABLES, FIGURES)
DRAWS = {"bootstrap": 50, "seed": 0}


def tables(n_hooks=1, models=("large",), n_widths=3, numbers=(2, 2, 2), n_saes=1):
    """Return the tables of a study with a design, and of one with widths."""
    given = {"hooks": [f"resid_post.{i}" for i in range(n_hooks)], "models": models}
    saes = ["topk-x4", "relu-x4", "topk-x8", "relu-x8"][:n_saes]
    wide = counted(families(widths(n_widths, **given)))
    whole = noisy(made_up_pairs.study({"all": made_up_pairs.factorial(*numbers)}, **given))
    comparisons = {
        "seeds": {"vary": ["seed"], "seeds": [0, 1, 2]},
        "architectures": {"vary": ["sae"], "saes": ["topk-x4", "relu-x4"]},
    }
    many = noisy(made_up_pairs.study(comparisons, saes=saes, **given))
    asked = {**many.given, "own": own_saes(many), **DRAWS}
    return {
        "factorial": factorial(whole.runs, **whole.given, **DRAWS),
        "fate_shares": fate_shares(whole.runs, **whole.given, **DRAWS),
        "found_by": found_by(many.runs, **asked),
        "found_ranked": found_ranked(many.runs, **asked),
        "lineages": lineages(wide.runs, **wide.given),
        "children": children(wide.runs, **wide.given, **DRAWS),
        "absorption": absorption(wide.runs, **wide.given, **DRAWS),
    }


def drawn(name, made):
    return made_up_study.drawing(STUDY, name, made[FIGURES[name].table])


@pytest.fixture(scope="module")
def small():
    return tables()


def test_bars_of_what_factors_take_are_the_tables(small):
    drawing = drawn("factorial", small)
    ax = drawing.figure.axes[2]
    own = small["factorial"]
    own = own[(own["reference"] == "") & (own["outcome"] == "similarity")]
    for quantity, bars in zip(("correlation", "cosine"), ax.containers[::2], strict=True):
        heights = [bar.get_height() for bar in bars]
        assert heights == pytest.approx(own[own["quantity"] == quantity]["own"].tolist())


def test_shares_are_stacked_to_the_whole_and_chance_stands_last(small):
    ax = drawn("fate_shares", small).figure.axes[0]
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names == ["correlation", "correlation > 0.7", "cosine", "cosine > 0.7", "by chance"]
    tops = np.array([[bar.get_y() + bar.get_height() for bar in own] for own in ax.containers])
    np.testing.assert_allclose(tops[-1], 1.0)
    table = small["fate_shares"]
    first = table[(table["source"] == "feature") & (table["outcome"] == "similarity")]
    assert tops[0][0] == pytest.approx(first["share"].iloc[0])
    assert tops[0][-1] == pytest.approx(first["chance"].iloc[0])


def test_trees_are_of_a_hook_where_widths_follow_one_another(small):
    table = small["lineages"]
    lonely = table.assign(hook="mlp_out.9", block=9)
    lonely.loc[lonely["sae"] == "topk-x2", "parent"] = -1  # the widths before were not compared
    for both in (pd.concat([lonely, table]), pd.concat([table, lonely])):
        drawing = drawn("family_trees", {"lineages": both.reset_index(drop=True)})
        assert set(drawing.rows["hook"]) == set(table["hook"])


def test_a_tree_has_each_descendant_once_below_its_parent(small):
    drawing = drawn("family_trees", small)
    table = small["lineages"]
    narrowest = table[table["sae"] == "topk-x1"]
    most = narrowest["n_descendants"].max()
    title = drawing.figure.axes[0].get_title(loc="left")
    assert title.endswith(f"{most} descendants")
    root = int(title.split()[1].rstrip(","))
    own = table[(table["root"] == root) & (table["root_sae"] == "topk-x1")]
    ax = drawing.figure.axes[0]
    nodes = [line for line in ax.lines if line.get_marker() == "o"]
    unseen = sum(int(t.get_text().split("+")[1][:-1]) for t in ax.texts if "(+" in t.get_text())
    assert len(nodes) + unseen <= len(own) == most + 1
    assert len(nodes) > 1
    for sae, x in (("topk-x1", 0), ("topk-x2", 1), ("topk-x4", 2)):
        assert sum(node.get_xdata()[0] == x for node in nodes) <= (own["sae"] == sae).sum()


def test_figures_are_drawn_from_tables_that_were_written(small, tmp_path):
    for name, figure in FIGURES.items():
        write_csv(small[figure.table], tmp_path / "table.csv")
        read = {figure.table: read_csv(tmp_path / "table.csv")}
        texts = {text.get_text() for ax in drawn(name, read).figure.axes for text in ax.texts}
        assert not any("nan" in text for text in texts), name


def test_bars_of_children_add_up(small):
    above, below = drawn("children_by_width", small).figure.axes[:2]
    table = small["children"]
    tops = [bar.get_y() + bar.get_height() for bar in above.patches]
    assert tops.count(pytest.approx(1.0)) >= 2
    news = [bar.get_height() for bar in below.patches]
    assert news == pytest.approx(table.drop_duplicates("wide")["new"].tolist())


def test_bars_of_tokens_add_up_and_chance_is_beside_them(small):
    above = drawn("absorption", small).figure.axes[0]
    table = small["absorption"]
    own = table[table["wide"] == "topk-x2"].set_index("outcome")
    heights = [bar.get_height() for bar in above.patches[:3]]
    assert heights == pytest.approx(own["share"].tolist()) and sum(heights) == pytest.approx(1)
    first = above.collections[0].get_segments()[0]
    assert first[0, 1] == pytest.approx(own["null"]["kept"])


def test_what_is_found_is_said(small):
    own = small["factorial"]
    own = own[(own["reference"] == "") & (own["outcome"] == "similarity")]
    own = own[own["quantity"] == "correlation"].set_index("differ")
    text = " ".join(fates(small["factorial"]))
    assert "Of 8 SAEs like topk-x4-part-1 at resid_post.0" in text
    assert f"{own['value']['seed']:.2f} [" in text
    portion = own["portion"]["part"] / own["portion"].sum()
    assert f"part {portion:.0%}" in text
    assert "(by chance 14%)" in " ".join(shares(small["fate_shares"]))
    assert "All 3 others find" in " ".join(shared(small["found_ranked"]))
    assert "from 1 to 2" in " ".join(split(small["children"]))
    kept = small["absorption"].iloc[0]["share"]
    assert f"is too on {kept:.0%} [" in " ".join(absorbed(small["absorption"]))


def test_nothing_is_said_of_empty_tables(small):
    for name, say in (("factorial", fates), ("fate_shares", shares), ("found_ranked", shared),
                      ("children", split), ("absorption", absorbed)):  # fmt: skip
        assert not list(say(small[name].iloc[:0]))


def test_tables_are_planned_where_there_is_something_to_show():
    design = made_up_pairs.study({"all": made_up_pairs.factorial()}, saes=("topk-x4-part-1",))
    layers = made_up_pairs.study(
        {"layers": {"vary": ["hook"], "hooks": ["mlp_out.1", "mlp_out.2"]}}
    )
    wide = widths(2)
    cases = [
        ("factorial", design, True), ("factorial", wide, False), ("factorial", layers, False),
        ("children", wide, True), ("children", design, False),
        ("found", wide, True), ("found", design, True), ("found", layers, False),
    ]  # fmt: skip
    for name, made, expected in cases:
        assert TABLES[name].when(made.config, made.section) == expected, name
    three = widths(3)
    steps = [(row["sae"], row[WITH]["sae"]) for row in of_widths(three.config, three.section)]
    assert steps == [("topk-x1", "topk-x2"), ("topk-x2", "topk-x4")]
    assert not list(of_widths(design.config, design.section))
    given = given_own(wide.config, wide.section)
    assert given["own"] == own_saes(wide) and given["pairs"] == wide.given["pairs"]


@pytest.mark.parametrize(
    ("n_hooks", "models", "n_widths", "numbers", "n_saes"),
    [
        (1, ("large",), 2, (2, 2, 1), 1),
        pytest.param(4, ("large",), 6, (3, 2, 2), 1, marks=pytest.mark.slow),
        pytest.param(4, ("large", "small"), 3, (2, 2, 2), 4, marks=pytest.mark.slow),
        pytest.param(24, ("large",), 3, (2, 2, 2), 1, marks=pytest.mark.slow),
        pytest.param(1, tuple("abcde"), 6, (2, 2, 2), 4, marks=pytest.mark.slow),
    ],
)
def test_figures_can_be_read(n_hooks, models, n_widths, numbers, n_saes):
    made = tables(n_hooks, models, n_widths, numbers, n_saes)
    for name in FIGURES:
        drawing = drawn(name, made)
        keep(drawing.figure, f"{n_hooks}-{len(models)}-{n_widths}-{n_saes}", name)
        assert faults(drawing.figure) == [], name
