import re
from html.parser import HTMLParser

import pytest

import made_up_study
from saeflow.figures.making import make_figure
from saeflow.files import write_json
from saeflow.metrics.registry import METRICS
from saeflow.report.build import build_report, render, study_title
from saeflow.report.parts import FigurePart, Section
from saeflow.tables.files import write_csv
from saeflow.tables.models import language_model
from saeflow.tables.suppression import l0, metrics


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return records of figures and tables of a made-up study."""
    root = tmp_path_factory.mktemp("results")
    runs = made_up_study.runs(n_blocks=1)
    tables = {
        ("suppression", "l0"): l0.build(runs),
        ("suppression", "metrics"): metrics.build(runs),
        ("models", "language_model"): language_model.build(made_up_study.scores()),
    }
    table_records, figure_records = [], []
    for (study, name), frame in tables.items():
        path = root / "tables" / study / f"{name}.csv"
        write_csv(frame, path)
        write_json(path.with_suffix(".json"), {"n_rows": len(frame)})
        table_records.append(path.with_suffix(".json"))
    for study, name, table in (
        ("suppression", "l0_by_method", "l0"),
        ("models", "language_model", "language_model"),
    ):
        stem = root / "figures" / study / name
        record = make_figure(study, name, root / "tables" / study / f"{table}.csv", stem)
        write_json(stem.with_name(f"{name}.json"), record)
        figure_records.append(stem.with_name(f"{name}.json"))
    return figure_records, table_records


@pytest.fixture(scope="module")
def html(made):
    return build_report(*made)


class Outline(HTMLParser):
    """Collects ids, links, sources and whether tags are balanced."""

    VOID = {"meta", "img", "br", "link", "col", "hr", "input"}

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.sources = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if "href" in attrs else []
        self.sources += [attrs["src"]] if "src" in attrs else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def outline(html):
    found = Outline()
    found.feed(html)
    assert not found.open
    return found


def test_the_file_is_whole_and_every_inner_link_leads_somewhere(html):
    found = outline(html)
    inner = {link[1:] for link in found.links if link.startswith("#")}
    assert inner <= set(found.ids) and len(set(found.ids)) == len(found.ids)


def test_nothing_is_fetched_from_elsewhere(html):
    found = outline(html)
    assert all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert not re.search(r"(href|src)=\"(https?:)?//|url\(|@import", html)


def test_links_to_files_exist_beside_the_report(html, made):
    root = made[0][0].parents[2]
    files = [link for link in outline(html).links if not link.startswith("#")]
    assert files and all((root / file).is_file() for file in files)


def test_each_figure_stands_in_its_study_with_caption_and_facts(html):
    assert html.index('id="models"') < html.index('id="suppression"')
    start = html.index('id="suppression-l0_by_method"')
    part = html[start : html.index("</figure>", start)]
    assert "L0 by method and layer" in part
    assert "how many latents are active on a token" in part
    assert "Measured on 15,000 tokens of 60 documents" in part and "95 % bootstrap" in part


def test_a_task_at_chance_is_named(html):
    assert "At chance, so not learned: owner binding." in html


def test_every_metric_is_defined(html):
    for metric in METRICS.values():
        assert f"<code>{metric.name}</code>" in html and metric.label in html


def test_all_numbers_are_there_folded(html):
    assert "<details>" in html and "<details open" not in html
    assert "Numbers: metrics (8 rows)" in html


def test_the_same_records_give_the_same_bytes(html, made):
    assert build_report(*made) == html


def test_text_from_outside_is_escaped():
    evil = '<script>alert("x")</script>'
    figure = FigurePart(
        "f", evil, "data:image/png;base64,", 10, "<p>ok</p>", evil, "f.pdf", "f.csv"
    )
    html = render([Section("s", evil, "<p>ok</p>", [figure], verdict=evil)])
    assert evil not in html and "&lt;script&gt;" in html


def test_an_unknown_study_gets_its_own_name():
    assert study_title("my_study") == "My study"
