import pytest

from saeflow import registry
from saeflow.errors import DamagedError
from saeflow.report.build import CAPTIONS
from saeflow.report.captions import caption_html, read_caption


def test_markup_becomes_html_and_text_is_escaped():
    html = caption_html("An *emphasis*, ``code`` and <b>a < b</b> & c.", where="x")
    assert "<em>emphasis</em>" in html and "code</" in html
    assert "<b>" not in html and "&lt;b&gt;a &lt; b&lt;/b&gt; &amp; c" in html


@pytest.mark.parametrize(
    "text",
    [
        ".. raw:: html\n\n   <script>alert(1)</script>",
        ".. include:: /etc/hostname",
        "A *start without end.",
    ],
)
def test_raw_html_other_files_and_mistakes_are_refused(text):
    with pytest.raises(DamagedError, match="some.rst"):
        caption_html(text, where="some.rst")


def test_a_figure_without_a_caption_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(DamagedError, match="suppression/frontier.rst"):
        read_caption(tmp_path, "suppression", "frontier")


def test_every_study_and_figure_has_a_caption_that_reads_and_none_is_left_over():
    expected = {"workflow.rst", "figure.rst"}  # of Snakemake's own report
    for study in registry.names("plan.studies"):
        expected |= {f"{study}.rst"}
        expected |= {f"{study}/{f}.rst" for f in registry.load("plan.studies", study).FIGURES}
    assert {p.relative_to(CAPTIONS).as_posix() for p in CAPTIONS.rglob("*.rst")} == expected
    for name in expected:
        assert read_caption(CAPTIONS, name.removesuffix(".rst")).startswith("<p>")
