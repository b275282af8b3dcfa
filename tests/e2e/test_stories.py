"""The whole workflow on a model and on texts that nobody here made."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("stories.yaml")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cores")]


def snakemake(directory, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--configfile",
         str(CONFIG), "--cores", "2", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(real_data, tmp_path_factory):
    """A directory in which the study was run."""
    directory = tmp_path_factory.mktemp("stories")
    (directory / "real-data").symlink_to(real_data)
    done = snakemake(directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_a_second_run_has_nothing_to_do(finished):
    again = snakemake(finished)
    assert "Nothing to do" in again.stdout + again.stderr


def test_the_clean_model_has_its_known_perplexity(finished):
    """4.72: the model's own perplexity on these stories, with BOS and at most 512 tokens."""
    values = pd.read_csv(
        finished / "results/studies/config/tables/suppression/metrics.csv"
    ).perplexity
    assert values.max() - values.min() < 1e-6
    assert values.iloc[0] == pytest.approx(4.72, abs=0.05)


def test_fine_tuning_the_decoder_side_leaves_l0_as_it_is(finished):
    table = pd.read_csv(finished / "results/studies/config/tables/suppression/frontier.csv")
    frozen = table.method.isin(
        ["original", "scale", "unrotated_decoder", "decoder", "decoder-exact"]
    )
    relu = table[table.sae.str.startswith("relu") & frozen]
    assert relu.method.nunique() == 5
    spread = relu.groupby(["hook", "sae", "seed"]).l0.agg(lambda x: x.max() - x.min())
    assert (spread == 0).all()


def test_the_report_and_every_figure_are_there(finished):
    assert (finished / "results/studies/config/report.html").stat().st_size > 100_000
    pdfs = sorted(p.stem for p in (finished / "results/studies/config/figures").rglob("*.pdf"))
    pngs = sorted(p.stem for p in (finished / "results/studies/config/figures").rglob("*.png"))
    assert pdfs == pngs
    assert len(pdfs) >= 6


def test_no_result_names_this_machine(finished):
    where = [str(finished).encode(), os.uname().nodename.encode()]
    where = [name for name in where if len(name) > 7]  # three bytes are in any large file
    for path in (finished / "results").rglob("*"):
        if path.is_file() and not {".cache", "logs"} & {*path.parts}:
            content = path.read_bytes()
            assert not any(name in content for name in where), path
