"""The whole workflow on a model and on texts that nobody here made."""

import os
from importlib.metadata import version

import pandas as pd
import pytest

from e2e.running import run_study, snakemake

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cores")]


@pytest.fixture(scope="module")
def finished(real_data, tmp_path_factory):
    """A directory in which the study was run."""
    return run_study("stories", tmp_path_factory.mktemp("stories"), real_data)


def test_a_second_run_has_nothing_to_do(finished):
    again = snakemake("stories", finished)
    assert "Nothing to do" in again.stdout + again.stderr


def test_the_clean_model_has_its_known_perplexity(finished):
    """4.72: the model's own perplexity on these stories, with BOS and at most 512 tokens."""
    values = pd.read_csv(
        finished / "results/studies/stories/tables/suppression/metrics.csv"
    ).perplexity
    assert values.max() - values.min() < 1e-6
    assert values.iloc[0] == pytest.approx(4.72, abs=0.05)


def test_fine_tuning_the_decoder_side_leaves_l0_as_it_is(finished):
    table = pd.read_csv(finished / "results/studies/stories/tables/suppression/frontier.csv")
    frozen = table.method.isin(
        ["original", "scale", "unrotated_decoder", "decoder", "decoder-exact"]
    )
    relu = table[table.sae.str.startswith("relu") & frozen]
    assert relu.method.nunique() == 5
    spread = relu.groupby(["hook", "sae", "seed"]).l0.agg(lambda x: x.max() - x.min())
    assert (spread == 0).all()


def test_the_report_and_every_figure_are_there(finished):
    assert (finished / "results/studies/stories/report.html").stat().st_size > 100_000
    pdfs = sorted(p.stem for p in (finished / "results/studies/stories/figures").rglob("*.pdf"))
    pngs = sorted(p.stem for p in (finished / "results/studies/stories/figures").rglob("*.png"))
    assert pdfs == pngs
    assert len(pdfs) >= 6


def test_the_report_says_what_was_run(finished):
    """Enough for a section on methods: the model, its perplexity, recipes, software, commit."""
    page = finished / "results/studies/stories/report.html"
    html = page.read_text()
    _, _, run = html.partition('<section id="run">')
    run = run.partition("</section>")[0]
    metrics = pd.read_csv(page.parent / "tables/suppression/metrics.csv")
    perplexity = metrics.perplexity.iloc[0]
    for text in (f"<td>{perplexity:.4g}</td>", "<td>LlamaForCausalLM</td>", "l1 0.016", "k 16"):
        assert text in run, text
    assert run.count("<td>512</td>") >= 4, "latents of four recipes: 8 times the width of 64"
    assert f"torch {version('torch')}" in run and "Commit of the code: " in run
    assert "showTimes(" in page.with_name("report.times.js").read_text()


def test_the_report_is_the_same_when_it_is_made_again(finished):
    page = finished / "results/studies/stories/report.html"
    before = page.read_bytes()
    page.unlink()
    assert snakemake("stories", finished).returncode == 0
    assert page.read_bytes() == before


def test_no_result_names_this_machine(finished):
    where = [str(finished).encode(), os.uname().nodename.encode()]
    where = [name for name in where if len(name) > 7]  # three bytes are in any large file
    for path in (finished / "results").rglob("*"):
        if path.is_file() and not {".cache", "logs"} & {*path.parts}:
            content = path.read_bytes()
            assert not any(name in content for name in where), path
