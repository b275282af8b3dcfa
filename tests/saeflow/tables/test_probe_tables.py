"""The tables and the figure about probes, on answers that are known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import made_up_study
from saeflow import paths
from saeflow.errors import DataError
from saeflow.figures.suppression import probe_change_by_method
from saeflow.measures.intervals import estimates
from saeflow.measures.output import write_table
from saeflow.tables.runs import ORIGINAL, read_runs
from saeflow.tables.suppression import probe_change, probes
from saeflow.work import hold

OPTIONS = dict(bootstrap=200, seed=0)
TOKENS = np.array([10.0, 30.0])
METRICS = ("probe_accuracy", "probe_loss_sae")


def answers(loss, correct, codes):
    return pd.DataFrame(
        {"document": [0, 1], "tokens": TOKENS, "loss_sae": loss, "correct_sae": correct}
        | {"loss_codes": codes, "correct_codes": [1.0, 2.0]}
    )


def runs(before=(20.0, 60.0), after=(15.0, 45.0), **study):
    """Return runs of `made_up_study` with these losses of originals and of fine-tuned SAEs."""
    found = []
    for run in made_up_study.runs(**study):
        original = run.key.method == ORIGINAL
        table = answers(before, [4.0, 12.0], [5.0, 9.0])
        if not original:
            table = answers(after, [6.0, 14.0], [5.0, 9.0])
        record = {"n_tokens": 40, "n_documents": 2, "metrics": {}}
        for name in METRICS:
            record["metrics"][name] = {"value": 0.5, "low": 0.4, "high": 0.6}
        found.append(
            dataclasses.replace(
                run, records={"probes": record}, read_answers=lambda table=table: table
            )
        )
    return found


def test_changes_are_those_of_the_means_over_tokens():
    table = probe_change.build(runs(n_blocks=1), **OPTIONS)
    assert set(table["method"]) == {"scale", "decoder"} and len(table) == 4
    assert (table["n_tokens"] == 40).all() and (table["n_documents"] == 2).all()
    # 80 nats in 40 tokens become 60, 16 right answers 20, and the latents stay as they were.
    np.testing.assert_allclose(table["probe_loss_change"], -0.5)
    np.testing.assert_allclose(table["probe_accuracy_change"], 0.1)
    for name in ("probe_loss_change_codes", "probe_accuracy_change_codes"):
        for end in ("", "_low", "_high"):
            assert (table[f"{name}{end}"] == 0).all()
    assert not table.columns.duplicated().any()


def test_a_change_that_is_the_same_in_every_document_has_no_width():
    """Each token gained half a nat, though documents are unlike: the interval is of pairs."""
    table = probe_change.build(runs((20.0, 90.0), (15.0, 75.0), n_blocks=1), **OPTIONS)
    for end in ("", "_low", "_high"):
        np.testing.assert_allclose(table[f"probe_loss_change{end}"], -0.5)
    alone = estimates(
        {"loss": lambda sums: sums["loss"] / sums["tokens"]},
        {"loss": np.array([20.0, 90.0]), "tokens": TOKENS},
        constants={}, samples=200, seed=0,
    )["loss"]  # fmt: skip
    assert alone.high - alone.low > 0.5


def test_answers_to_other_questions_cannot_be_compared():
    parent, *tuned = runs(n_blocks=1)
    parent = dataclasses.replace(
        parent, read_answers=lambda: answers([1.0, 2.0], [1.0, 1.0], 0.0).assign(tokens=[11, 29])
    )
    with pytest.raises(DataError, match="different documents"):
        probe_change.build([parent, *tuned], **OPTIONS)


def test_without_fine_tuning_there_is_an_empty_table_with_all_columns():
    table = probe_change.build([], **OPTIONS)
    assert table.empty and set(probe_change.CHANGES) <= set(table.columns)


def test_every_sae_has_what_probes_read():
    made = runs(n_blocks=2)
    table = probes.build(made)
    assert len(table) == len(made)
    assert (table[["probe_accuracy", "probe_loss_sae_low"]] == [0.5, 0.4]).all(axis=None)


def test_the_figure_has_a_bar_per_method_and_layer():
    made = runs(n_blocks=2)
    figure = probe_change_by_method.draw(probe_change.build(made, **OPTIONS))
    titles = {ax.get_title(loc="left") for ax in figure.axes}
    assert titles == {"relu-strong", "relu-weak"}
    for ax in figure.axes:
        np.testing.assert_allclose([patch.get_height() for patch in ax.patches], 4 * [-0.5])
    assert figure.axes[0].get_ylabel() == "Change of probe loss (nats)"
    assert "no change" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_answers_are_read_from_beside_the_record(tmp_path):
    place = dict(model="m", dataset="d", packing="p", hook="resid_post.1", seed=3, sae="a")
    path = tmp_path / paths.fill(paths.PROBES, **place, eval_dataset="e", eval_packing="q")
    with hold(path, "0" * 64) as work:
        write_table(work.path / "documents.parquet", {"document": [0], "loss_sae": [2.5]})
        work.finish({"n_tokens": 7, "n_documents": 1, "metrics": {}})
        work.publish()
    (run,) = read_runs(probes=[path])
    assert run.read_answers()["loss_sae"].tolist() == [2.5]
    assert run.extent() == {"n_tokens": 7, "n_documents": 1}
    assert (run.key.eval_dataset, run.key.sae, run.key.seed) == ("e", "a", 3)
