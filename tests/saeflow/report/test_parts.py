import base64
import json
import zlib
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from saeflow import registry
from saeflow.errors import DamagedError
from saeflow.report import parts
from saeflow.report.parts import caption_html, pack, picture


def unpacked(frame):
    data, _ = pack(frame)
    return json.loads(zlib.decompress(base64.b64decode(data)))


def test_markup_becomes_html_and_text_is_escaped():
    html = caption_html("An *emphasis*, ``code`` and <b>a < b</b> & c.")
    assert "<em>emphasis</em>" in html and "code</" in html
    assert "<b>" not in html and "&lt;b&gt;a &lt; b&lt;/b&gt; &amp; c" in html


def test_a_caption_may_be_indented_like_a_docstring():
    assert caption_html("\n    One line\n    and another.\n    ") == "<p>One line\nand another.</p>"


@pytest.mark.parametrize(
    "text",
    [
        ".. raw:: html\n\n   <script>alert(1)</script>",
        ".. include:: /etc/hostname",
        "A *start without end.",
    ],
)
def test_raw_html_other_files_and_mistakes_are_told_in_place(text):
    html = caption_html(f"Before.\n\n{text}\n\nAfter.")
    assert "system-message" in html and "<script>" not in html
    assert "<p>Before.</p>" in html and "<p>After.</p>" in html


def test_every_word_of_every_study_reads():
    modules = [registry.load("studies", name) for name in registry.names("studies")]
    studies = [module.STUDY for module in modules if hasattr(module, "STUDY")]
    assert studies
    for study in studies:
        for text in (study.introduction, *(figure.caption for figure in study.figures.values())):
            html = caption_html(text)
            assert html.startswith("<p>") and "system-message" not in html


def test_a_picture_keeps_every_pixel(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "f.png")
    found = picture(tmp_path / "f.png")
    kind, _, data = found["source"].partition(",")
    assert kind == "data:image/webp;base64"
    np.testing.assert_array_equal(Image.open(BytesIO(base64.b64decode(data))), pixels)
    assert (found["width"], found["height"]) == (29, 12)  # 50 and 20 of 200 to the inch, 115.2 here


def test_a_picture_that_is_none_is_an_error(tmp_path):
    (tmp_path / "f.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    for name, problem in (("f", "cannot be read"), ("g", "missing")):
        with pytest.raises(DamagedError, match=f"the picture .*{problem}"):
            picture(tmp_path / f"{name}.png")


def test_an_interval_stands_in_the_cell_of_its_value():
    frame = pd.DataFrame(
        {
            "sae": ["a", "b"], "l0": [8.0, 9.5], "l0_low": [7.5, None], "l0_high": [8.5, None],
            "value": 1, "low": 0, "high": 2, "alone_low": 3,
        }
    )  # fmt: skip
    assert unpacked(frame) == [
        {"name": "sae", "values": ["a", "b"]},
        {"name": "l0", "values": [8, 9.5], "low": [7.5, None], "high": [8.5, None]},
        {"name": "value", "values": [1, 1], "low": [0, 0], "high": [2, 2]},
        {"name": "alone_low", "values": [3, 3]},
    ]


def test_what_the_hook_says_already_is_left_out():
    frame = pd.DataFrame({"hook": ["resid_post.0"], "site": ["resid_post"], "block": [0]})
    assert [column["name"] for column in unpacked(frame)] == ["hook"]


def test_numbers_keep_six_digits_and_whole_ones_all():
    frame = pd.DataFrame({"x": [0.123456789, 1234567.0, -1e-300, 1e300, 2.0**40]})
    assert unpacked(frame)[0]["values"] == [0.123457, 1234567, -1e-300, 1e300, 2**40]


def test_no_cell_costs_the_table():
    frame = pd.DataFrame(
        {
            "number": [np.inf, -np.inf, np.nan, 0.0],
            "text": ["</script>", None, "x\n\"'", "ü"],
            "mixed": [True, None, 10**400, "a"],
            "no": [None] * 4,
            "yes": [True, False, True, True],
        }
    )
    number, text, mixed, no, yes = (column["values"] for column in unpacked(frame))
    assert number == [float("inf"), float("-inf"), None, 0]
    assert text == ["</script>", None, "x\n\"'", "ü"]
    assert mixed == ["yes", None, str(10**400), "a"]
    assert no == [None] * 4 and yes == ["yes", "no", "yes", "yes"]


def test_an_empty_table_keeps_its_heads():
    assert unpacked(pd.DataFrame({"a": [], "b": []})) == [
        {"name": "a", "values": []},
        {"name": "b", "values": []},
    ]


def test_an_enormous_table_is_cut(monkeypatch):
    monkeypatch.setattr(parts, "_MOST_CELLS", 7)
    frame = pd.DataFrame({"a": range(10), "b": range(10)})
    assert pack(frame)[1] == 3 and unpacked(frame)[1]["values"] == [0, 1, 2]
