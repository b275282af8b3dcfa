import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from saeflow.failures import Cause, note
from saeflow.files import read_json, write_json
from saeflow.inventory import with_checksum
from saeflow.metrics.registry import METRICS
from saeflow.report import build
from saeflow.report.build import build_page, make_report
from saeflow.studies.study import Figure, Study, Table
from saeflow.tables.files import write_csv
from saeflow.task import Task

EVIL = '<script>alert("x")</script>'
HERE = __name__


def found(tables):
    return f"L0 is {tables['l0']['l0'].mean():g}.\n\nAnd {EVIL}."


def fails(tables):
    return 1 / len(tables["no such table"])


def only_a(table):
    return table[table["sae"] == "a"]


L0 = pd.DataFrame(
    {
        "model": "m", "hook": "resid_post.0", "sae": ["a", "b"], "seed": 0, "method": "original",
        "n_tokens": 15_000, "n_documents": 60, "l0": [8.0, 16.0], "l0_low": 7.0, "l0_high": 17.0,
    }
)  # fmt: skip
PUBLISHED = pd.DataFrame(
    {
        "claim": ["first", "second", "third", "fourth"],
        "verdict": ["as published", "not made", "as published", "not as published"],
    }
)
SCORES = pd.DataFrame(
    {
        "model": "m", "dataset": "world", "task": ["cloze", "owner_binding", "owner_binding"],
        "series": ["model", "model", "chance"], "value": 0.5, "n": 300,
        "at_chance": [False, True, True],
    }
)  # fmt: skip


def study(title, tables, **fields):
    figures = {
        "key": Figure("l0", f"{title} at a glance", "How to *read* it.", "x:y"),
        "other": Figure("l0", "Of one recipe", "Words.", "x:y", select=f"{HERE}:only_a"),
    }
    given = {"introduction": "What it asks.", "figures": figures, "key_figure": "key", **fields}
    return Study(title=title, tables=dict.fromkeys(tables, Table("x:y")), **given)


STUDIES = {
    "models": study("Models", ["language_model"], figures={}),
    "sparse": study("Sparsity", ["l0", "published"], summary=f"{HERE}:found"),
}
TABLES = {
    ("models", "language_model"): SCORES,
    ("sparse", "l0"): L0,
    ("sparse", "published"): PUBLISHED,
}


@pytest.fixture
def root(tmp_path):
    """Return a directory with tables and figures of two studies."""
    for (of, name), frame in TABLES.items():
        write_csv(frame, tmp_path / "tables" / of / f"{name}.csv")
        write_json(tmp_path / "tables" / of / f"{name}.json", {})
    (tmp_path / "figures" / "sparse").mkdir(parents=True)
    for name in ("key", "other"):
        stem = tmp_path / "figures" / "sparse" / name
        write_json(stem.with_suffix(".json"), {"facts": f"What is in {name}."})
        stem.with_suffix(".pdf").write_bytes(b"%PDF")
        Image.new("RGB", (40, 20), "red").save(stem.with_suffix(".png"))
    return tmp_path


def inputs(root):
    return [sorted(root.glob(f"{kind}/*/*.json")) for kind in ("figures", "tables")]


def page(root, studies=STUDIES, **more):
    return build_page(studies, *inputs(root), **more)


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
    seen = Outline()
    seen.feed(html)
    assert not seen.open
    inner = {link[1:] for link in seen.links if link.startswith("#")}
    assert inner <= set(seen.ids) and len(set(seen.ids)) == len(seen.ids)
    return seen


def between(html, start, end):
    return html[html.index(start) : html.index(end, html.index(start))]


def test_the_file_is_whole_and_nothing_is_fetched_from_elsewhere(root):
    html = page(root)
    *pictures, times = outline(html).sources
    assert all(source.startswith("data:image/webp;base64,") for source in pictures)
    assert times == "report.times.js"
    assert not re.search(r"(href|src)=\"(https?:)?//|url\(|@import|fetch\(", html)


def test_links_to_files_exist_beside_the_report(root):
    files = {link for link in outline(page(root)).links if not link.startswith("#")}
    assert files == {
        "figures/sparse/key.pdf", "figures/sparse/other.pdf", "tables/sparse/l0.csv",
        "tables/sparse/published.csv", "tables/models/language_model.csv",
    }  # fmt: skip
    assert all((root / file).is_file() for file in files)


def test_it_opens_with_what_was_found(root):
    html = page(root)
    opening = between(html, '<section id="found">', "</section>")
    assert html.index(opening) < html.index('<section id="run">') < html.index('id="models"')
    assert "<p>L0 is 12.</p>" in opening and 'alt="Sparsity at a glance"' in opening
    assert "2 as published" in opening and "1 not as published" in opening
    assert "Not as published: fourth." in opening and "Not made: second." in opening
    assert "At chance, so not learned: owner binding." in opening


def test_it_opens_with_what_is_noted_of_single_saes(root):
    assert "Notes on SAEs" not in page(root)
    write_csv(L0.assign(notes=["16 of 20 are active", ""]), root / "tables" / "sparse" / "l0.csv")
    opening = between(page(root), '<section id="found">', "</section>")
    assert "Notes on SAEs (1)" in opening
    assert "<li>m, resid_post.0, a, seed 0 (original): 16 of 20 are active</li>" in opening


def test_with_several_models_it_says_which_is_at_chance(root):
    scores = pd.concat([SCORES, SCORES.assign(model="n")])
    write_csv(scores, root / "tables" / "models" / "language_model.csv")
    assert "not learned: owner binding (m), owner binding (n)." in page(root)


def test_it_says_what_was_run_with_which_software(root):
    record = root / "datasets" / "stories" / "dataset.json"
    counts = {"train": 4_413, "validation": 0, "test": 527}
    write_json(record, with_checksum({"identity": "i", "n_documents": counts}))
    own = {"rule": "fetch_dataset", "format": ".jsonl", "path_sha256": "c0ffee" * 11}
    run = {"datasets": {"stories": own}}, {"datasets": {"stories": [[str(record), "i"]]}}
    html = page(root, run=run, made={"torch": "2.13.0", "commit": "abc with uncommitted changes"})
    told = re.sub(r' class="\w+"', "", between(html, '<section id="run">', "</section>"))
    assert "<td>stories</td><td>local (.jsonl), SHA-256 c0ffeec0ffee</td>" in told
    assert "<td>4,413 / 0 / 527</td>" in told
    assert "torch 2.13.0. Commit of the code: abc with uncommitted changes." in told
    assert "no receipts" in page(root)


def test_what_was_run_that_cannot_be_told_does_not_cost_the_page(root):
    html = page(root, run=({"models": {"m": {}}}, {}))
    assert "cannot be told in full: KeyError" in html and "L0 is 12." in html


def test_what_could_not_be_made_is_named_with_the_reason(root):
    figures, tables = root / "figures" / "sparse", root / "tables" / "sparse"
    unmade = {
        figures / "key.json": [Cause(str(figures / "key.json"), "sparse:key failed")],
        tables / "l0.json": [Cause("saes/a/sae.json", "the loss is not finite at step 3")],
        tables / "other.json": [],
    }
    for name in ("figures/sparse/key", "tables/sparse/l0"):
        (root / name).with_suffix(".json").unlink()
    html = page(root, {"sparse": STUDIES["sparse"]}, unmade=unmade)
    outline(html)
    assert "Not made: Sparsity at a glance, because " in html and "sparse:key failed" in html
    assert "Not made: table l0, because saes/a/sae.json: the loss is not finite at step 3" in html
    assert "Not made: table other, because nobody noted why" in html
    opening = between(html, '<section id="found">', "</section>")
    assert "Sparsity at a glance, table l0, table other." in opening


def test_what_was_made_of_less_than_was_asked_for_says_so(root):
    cause = ["saes/a/sae.json", "saes/a/sae.json: it diverged."]
    write_json(root / "tables" / "sparse" / "l0.json", {"missing": [cause]})
    html = page(root)
    opening = between(html, '<section id="found">', "</section>")
    assert "Made of what there was: saes/a/sae.json: it diverged." in opening
    table = between(html, '<details class="table" id="sparse-table-l0">', "</details>")
    assert "Made without what failed" in table and html.count("it diverged") == 1


def test_each_figure_stands_in_its_study_with_caption_and_facts(root):
    html = page(root)
    key = between(html, '<figure id="sparse-key">', "</figure>")
    assert "How to <em>read</em> it." in key and "What is in key." in key
    other = between(html, '<figure id="sparse-other">', "</figure>")
    assert "What is in other." in other  # as it was said when it was drawn


def test_a_picture_is_in_the_page_once(root):
    html = page(root)
    assert html.count("data:image/webp") == 2 and html.count('alt="Sparsity at a glance"') == 2
    assert 'data-of="picture-sparse-key"' in html and 'id="picture-sparse-key" src="data' in html


def test_every_metric_is_defined_and_linked_from_its_column(root):
    html = page(root)
    for metric in METRICS.values():
        assert f'<tr id="metric-{metric.name}"' in html and metric.label in html
    table = between(html, '<details class="table" id="sparse-table-l0">', "</details>")
    assert '<a href="#metric-l0">' in table and "2 rows" in table


def test_the_same_records_give_the_same_bytes_and_no_path_of_this_machine(root):
    (root / "figures" / "sparse" / "key.png").unlink()
    html = page(root)
    assert page(root) == html and str(root) not in html


def test_text_from_outside_is_escaped(root):
    studies = {**STUDIES, "sparse": study(EVIL, ["l0"], introduction=EVIL, summary=f"{HERE}:found")}
    html = page(root, studies)
    assert EVIL not in html and "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("figures/sparse/key.png", None, "This figure cannot be shown: the picture is missing."),
        ("figures/sparse/other.png", b"torn", "shown: the picture cannot be read."),
        ("tables/sparse/published.csv", None, "This table cannot be shown: the table is missing."),
        ("tables/sparse/l0.csv", b"", "This table cannot be shown: the table cannot be read"),
    ],
)
def test_what_is_missing_or_torn_is_said_in_its_place_and_in_the_opening(root, file, content, said):
    (root / file).unlink()
    if content is not None:
        (root / file).write_bytes(content)
    html = page(root)
    outline(html)
    assert said in html and html.count("Cannot be shown:") == 1
    assert "Every ratio is formed once" in html


def test_a_summary_that_fails_is_said_in_its_place(root):
    studies = {**STUDIES, "sparse": STUDIES["sparse"]._replace(summary=f"{HERE}:fails")}
    html = page(root, studies)
    assert "The summary could not be written" in html and "KeyError" in html
    assert "2 as published" in html


def test_tables_without_rows_or_with_other_columns_do_no_harm(root):
    for (of, name), frame in TABLES.items():
        write_csv(frame.iloc[:0], root / "tables" / of / f"{name}.csv")
    assert "0 rows" in page(root)
    for of, name in TABLES:
        write_csv(pd.DataFrame({"x": [1]}), root / "tables" / of / f"{name}.csv")
    outline(page(root))


def test_the_job_writes_the_page_its_record_and_the_times_beside_it(root, monkeypatch):
    class Module:
        STUDY = STUDIES["sparse"]

    monkeypatch.chdir(root)
    monkeypatch.setattr(build.registry, "load", lambda package, name: Module)
    figures, tables = inputs(root)
    lost = "results/studies/c/tables/sparse/lost.json"
    note(Path(lost), "4" * 64, [Cause(lost, "a column is not there")])
    receipt = {
        "rule": "tabulate", "results": [{"record": str(tables[0]), "identity": "3"}],
        "versions": {"python": "3.11.7"}, "commit": "abc", "machine": "2 x CPU",
        "usage": {"seconds": 61.2, "cpu_seconds": 50.0, "peak_memory_bytes": 2e9},
    }  # fmt: skip
    write_json(Path("results/.receipts/tabulate/c/sparse/1.json"), receipt)
    task = Task(
        root / "report.json", "id", {"studies": ["sparse"], "run": {}},
        {"figures": figures, "tables": tables},
        {"records": {}, "planned": [[str(tables[0]), "3"], [lost, "4" * 64]]},
        files=(root / "report.html",),
    )  # fmt: skip
    make_report([task])
    assert task.error is None
    assert task.finished and read_json(root / "report.json")["identity"] == "id"
    html = (root / "report.html").read_text()
    assert "Not made: table lost, because " in html and "a column is not there" in html
    assert "python 3.11.7. Commit of the code: abc." in html and "1 min" not in html
    assert list(read_json(root / "report.json")["files"]) == ["report.html"], "times are no result"
    assert "1 min 01 s" in (root / "report.times.js").read_text()
