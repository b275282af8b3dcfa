"""Whatever stands in a table, a picture or a record: the page is made, and shows all the rest."""

import base64
import json
import math
import zlib

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saeflow.files import write_json
from saeflow.report import parts
from saeflow.report.build import build_page
from saeflow.report.parts import pack
from saeflow.studies.study import Figure, Study, Table
from saeflow.tables.files import read_csv, write_csv

NAMES = (
    *("model", "hook", "site", "block", "sae", "seed", "method", "task", "series", "value", "low"),
    *("high", "l0", "l0_low", "l0_high", "n", "n_tokens", "n_documents", "perplexity", "verdict"),
    *("claim", "at_chance", "", "</script>", "ü", "a b", "x.1"),
)
CELLS = st.one_of(
    st.floats(),
    st.integers(),
    st.sampled_from([10**400, -(10**30), 2**63, 2**64, 10**15, -0.0, 5e-324, True, None]),
    st.sampled_from(
        ["", "inf", "nan", "-", "1e999", "</script>", "\u2028", "𝔛", "x\x00y", "\ud83d"]
    ),
    st.text(max_size=8),
)
ONE_KIND = st.sampled_from([st.floats(), st.integers(), st.booleans(), st.text(max_size=3), CELLS])


@st.composite
def frames(draw):
    """Return a table with columns that the page knows, or others, of one kind or of any."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=8))
    n_rows = draw(st.integers(0, 4))
    kinds = [draw(ONE_KIND) for _ in names]
    columns = [draw(st.lists(kind, min_size=n_rows, max_size=n_rows)) for kind in kinds]
    series = [pd.Series(c, dtype=object) for c in columns]
    return pd.concat(series, axis=1, keys=names) if series else pd.DataFrame()


def unpacked(data):
    return json.loads(zlib.decompress(base64.b64decode(data)))


def close(shown, value):
    """Whether a cell of the page says what a cell of the table does, numbers to six digits."""
    if pd.isna(value):
        return shown is None
    if isinstance(shown, str):
        text = str(value).encode("utf-8", "replace").decode()
        return shown == {"True": "yes", "False": "no"}.get(text, text)
    return shown == value or math.isclose(shown, value, rel_tol=1e-5, abs_tol=1e-300)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(frame=frames())
def test_whatever_a_table_holds_each_of_its_cells_reaches_the_page(frame, tmp_path_factory):
    csv = tmp_path_factory.mktemp("odd") / "t.csv"
    write_csv(frame, csv)
    table = read_csv(csv)
    data, n_packed = pack(table)
    columns = {column["name"]: column["values"] for column in unpacked(data)}
    assert n_packed == len(table)
    for name, values in columns.items():
        cells = table[name].tolist()
        assert len(values) == len(cells)
        assert all(map(close, values, cells)), (values, cells)


STUDY = Study(
    title="Odd things",
    introduction="What it asks.",
    tables=dict.fromkeys(("odd", "language_model", "published", "good"), Table("x:y")),
    figures={
        "good": Figure("good", "A good figure", "Words.", "x:y"),
        "odd": Figure("odd", "An odd figure", "*Words", "x:y", select=f"{__name__}:fails"),
    },
    summary=f"{__name__}:fails",
)


def fails(tables):
    raise ZeroDivisionError("a summary, or what selects rows")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a good table, and a good picture beside one that is none."""
    root = tmp_path_factory.mktemp("page")
    for name in STUDY.tables:
        write_csv(pd.DataFrame({"sae": ["a"], "l0": [8.25]}), root / f"tables/s/{name}.csv")
        write_json(root / f"tables/s/{name}.json", {})
    for name in STUDY.figures:
        write_json(root / f"figures/s/{name}.json", {})
        parts.Image.new("RGB", (8, 8)).save(root / f"figures/s/{name}.png")
    return root


def page_of(root):
    records = [sorted(root.glob(f"{kind}/s/*.json")) for kind in ("figures", "tables")]
    return build_page({"s": STUDY}, *records)


def shows_the_rest(html):
    packed = [part.partition("</script>")[0] for part in html.split('octet-stream">')[1:]]
    assert "A good figure" in html and "Every ratio is formed once" in html
    assert [{"name": "sae", "values": ["a"]}, {"name": "l0", "values": [8.25]}] in [
        unpacked(data) for data in packed
    ]


@settings(max_examples=12, deadline=None, derandomize=True)
@given(frame=frames())
def test_an_odd_table_costs_neither_the_page_nor_the_others(frame, place):
    for name in ("odd", "language_model", "published"):
        write_csv(frame, place / f"tables/s/{name}.csv")
    html = page_of(place)
    shows_the_rest(html)
    assert "The summary could not be written" in html and "cannot be shown" not in html


@settings(max_examples=12, deadline=None, derandomize=True)
@given(content=st.one_of(st.binary(max_size=60), st.just(b"\x89PNG\r\n\x1a\n"), st.none()))
def test_odd_bytes_for_a_table_a_picture_or_a_record_cost_only_it(content, place):
    for name in ("tables/s/odd.csv", "tables/s/odd.json", "figures/s/odd.png"):
        (place / name).unlink(missing_ok=True)
        if content is not None:
            (place / name).write_bytes(content)
    records = [
        sorted({*place.glob(f"{kind}/s/*.json"), place / f"{kind}/s/odd.json"})
        for kind in ("figures", "tables")
    ]
    html = build_page({"s": STUDY}, *records)
    shows_the_rest(html)
    assert "This figure cannot be shown: the picture" in html
