"""The job that makes the tables of a study, on records on disk."""

import numpy as np
import pandas as pd
import pytest

import made_up_study
from saeflow import paths
from saeflow.errors import DataError
from saeflow.failures import Cause
from saeflow.files import read_json, write_json
from saeflow.studies.study import Table, metrics_table
from saeflow.tables import making
from saeflow.tables.files import read_csv, write_csv
from saeflow.tables.making import make_simulation, make_tables
from saeflow.tables.runs import read_runs
from saeflow.task import Task
from saeflow.work import MANIFEST, bulk_of

PLACE = dict(model="m", dataset="d", packing="p", hook="resid_post.0", seed=0)
MEASURED = dict(**PLACE, measure="reconstruction", eval_dataset="e", eval_packing="q")


@pytest.fixture
def records(tmp_path):
    """An SAE and its fine-tuned form, of 5 and 4 active latents a token."""
    made = []
    for sae, l0 in (("a", 5.0), ("a~scale", 4.0)):
        path = tmp_path / paths.fill(paths.MEASUREMENT, sae=sae, **MEASURED)
        sums = {"document": [0, 1], "tokens": [10.0, 20.0], "active": [10 * l0, 20 * l0]}
        facts = {"n_tokens": 30, "n_documents": 2, "d_in": 4, "d_sae": 16}
        made.append(made_up_study.publish(path, facts, documents=sums))
    return made


def task(name, entry, records, root):
    return made_up_study.table_task(name, entry, {"reconstruction": records}, root)


def test_a_table_is_made_from_records_with_the_same_bytes_each_time(records, tmp_path):
    tasks = [task("l0", metrics_table("l0"), records, tmp_path / name) for name in "ab"]
    for one in tasks:
        make_tables([one])
        assert one.finished
    first, second = (one.files[0].read_bytes() for one in tasks)
    assert first == second
    table = read_csv(tasks[0].files[0])
    assert table["l0"].tolist() == [5, 4] and table["method"].tolist() == ["original", "scale"]
    facts = read_json(tasks[0].output)
    assert (facts["n_rows"], facts["columns"]) == (2, list(table.columns))


@pytest.mark.parametrize("n", [29, 30])
def test_intervals_over_few_documents_are_said_once(tmp_path, caplog, n):
    sums = {"document": range(n), "tokens": np.full(n, 10.0), "active": np.arange(n) + 50.0}
    path = tmp_path / paths.fill(paths.MEASUREMENT, sae="a", **MEASURED)
    facts = {"n_tokens": 10 * n, "n_documents": n, "d_in": 4, "d_sae": 100}
    record = made_up_study.publish(path, facts, documents=sums)
    make_tables([task(name, metrics_table("l0"), [record], tmp_path) for name in "ab"])
    warned = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(warned) == (n < 30)
    assert all("over 29 documents" in text and "tokens.test" in text for text in warned)


def test_the_order_of_the_records_does_not_matter(records, tmp_path):
    one = task("l0", metrics_table("l0"), records, tmp_path / "a")
    other = task("l0", metrics_table("l0"), records[::-1], tmp_path / "b")
    make_tables([one, other])
    assert one.files[0].read_bytes() == other.files[0].read_bytes()


def test_bulk_that_its_record_does_not_name_any_more_is_read_as_what_it_was(records, tmp_path):
    """Another configuration made a result of its own under the name meanwhile."""
    manifests = [bulk_of(record) / MANIFEST for record in records]
    for record in records:
        record.write_text('{"identity": "another"}')
    other = task("l0", metrics_table("l0"), manifests, tmp_path / "b")
    make_tables([other])
    assert other.finished, other.error
    assert read_csv(other.files[0])["method"].tolist() == ["original", "scale"]


def test_what_lacks_a_part_or_its_parent_is_left_out_where_others_failed(records, tmp_path):
    """Another recipe's SAE was measured as fine-tuned alone: it cannot be paired with anything."""
    alone = tmp_path / paths.fill(paths.MEASUREMENT, sae="b~scale", **MEASURED)
    sums = {"document": [0, 1], "tokens": [10.0, 20.0], "active": [30.0, 60.0]}
    made_up_study.publish(alone, {"n_tokens": 30, "n_documents": 2, "d_in": 4}, documents=sums)
    one = task("l0", metrics_table("l0"), [*records, alone], tmp_path / "a")
    one.missing = (Cause("results/b/sae.json", "it diverged"),)
    make_tables([one])
    assert one.finished
    assert set(read_csv(one.files[0])["sae"]) == {"a"}
    assert read_json(one.output)["missing"] == [["results/b/sae.json", "it diverged"]]
    nothing = task("l0", metrics_table("l0"), [alone], tmp_path / "b")
    nothing.missing = one.missing
    make_tables([nothing])
    assert "nothing that this table shows" in str(nothing.error)


def test_pairs_need_what_is_measured_of_pairs_alone_where_others_failed(tmp_path):
    place = dict(model="m", dataset="d", packing="p", hook="resid_post.0", sae="a")
    both = [{**place, "seed": seed} for seed in (0, 1)]
    on = dict(eval_dataset="d", eval_packing="p")
    other = {paths.WITH[name]: value for name, value in both[1].items()}
    pair = paths.fill(paths.MEASUREMENT_OF_PAIR, **both[0], **other, **on, measure="similarity")
    saes = [tmp_path / paths.fill(paths.SAE, **one) for one in both]
    codes = [tmp_path / paths.fill(paths.MEASUREMENT, **one, **on, measure="codes") for one in both]
    for path in (tmp_path / pair, *saes, *codes):
        made_up_study.publish(path, {})
    kinds = {"similarity": [tmp_path / pair], "sae": saes, "codes": codes}
    whole = making._complete(read_runs(**kinds), kinds, tmp_path)
    assert len(whole) == 3
    kinds["similarity"] = []  # it failed
    kept = making._complete(read_runs(**kinds), kinds, tmp_path)
    assert [run.key.seed for run in kept] == [0, 1] and not any(run.key.other for run in kept)


def test_a_record_is_read_once_for_all_tables(records, tmp_path, monkeypatch):
    from saeflow.tables import runs

    read = []
    beside = runs._beside
    monkeypatch.setattr(runs, "_beside", lambda *which: read.append(which) or beside(*which))
    entries = {"a": metrics_table("l0"), "b": metrics_table("l0", originals=True)}
    make_tables([task(name, entry, records, tmp_path) for name, entry in entries.items()])
    assert len(read) == len(set(read)) == 2


def test_a_table_that_fails_leaves_the_others_alone_and_says_which_it_is(records, tmp_path):
    # the records have no latents' sums, which frequencies are made of
    bad = Table("saeflow.studies.suppression.latents:frequencies", ("reconstruction",))
    entries = {"bad": bad, "l0": metrics_table("l0")}
    bad, good = (task(name, entry, records, tmp_path) for name, entry in entries.items())
    make_tables([bad, good])
    assert good.finished and not bad.finished and not bad.output.exists()
    assert isinstance(bad.error, DataError)
    assert "latents:frequencies" in str(bad.error) and "latents.parquet" in str(bad.error)


def test_a_table_of_toys_is_made_from_the_simulation(tmp_path):
    record = tmp_path / "theory.json"
    write_json(record, {})
    toys = pd.DataFrame({"experiment": ["noise"], "c": [0.1], "d": [10], "p": [0.1], "g": [1.0]})
    write_csv(
        toys.assign(trained="encoder", predicted=1.0, simulated=1.0), record.with_suffix(".csv")
    )
    entry = Table("saeflow.studies.suppression.theory:theory", ("simulation",))
    one = made_up_study.table_task("theory", entry, {"simulation": [record]}, tmp_path)
    make_tables([one])
    assert read_csv(one.files[0])["half_cd"].tolist() == [0.5]


def test_a_simulation_is_written_as_csv(tmp_path, monkeypatch):
    from saeflow.studies.suppression import simulation

    monkeypatch.setattr(simulation, "simulate", lambda settings: pd.DataFrame(settings))
    settings = {"simulate": "saeflow.studies.suppression.simulation:simulate", "c": [0.5, 1.0]}
    csv = tmp_path / "toys.csv"
    one = Task(tmp_path / "toys.json", "0" * 64, settings, files=(csv,))
    make_simulation([one])
    np.testing.assert_array_equal(read_csv(csv)["c"], [0.5, 1.0])
    assert read_json(one.output)["n_rows"] == 2
