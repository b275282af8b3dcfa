"""Everything that reads a store gives the same bits where the activations are live.

But for measures in the model, which then take its activations as they are, not rounded.
"""

from __future__ import annotations

import logging
from functools import partial

import pytest

from measured import measure, measure_hooks, table
from sae_stores import content, place, published, train_saes, tune_saes
from saeflow.activations.loader import Loader
from saeflow.sae.training import sweep
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_tokens, save_model

HOOK = "resid_post.1"
LENGTHS = {"train": [30, 5, 17, 32, 2, 9] * 20, "validation": [11, 7], "test": [32, 9, 8, 30] * 3}
COMMON = {"expansion": 2, "batch_size": 64, "log_tokens": 512, "seed": 0}
SAES = {
    "relu": {"architecture": "relu", "l1": 0.03, "epochs": 2, **COMMON},
    "topk": {"architecture": "topk", "k": 3, **COMMON},
}
TUNING = {
    "method": "scale",
    "solver": "steps",
    "batch_size": 64,
    "learning_rate": 3e-3,
    "epochs": 2,
}
WEIGHTS = "sae_weights.safetensors"


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    model = save_model(make_model("gpt_neox"), root / "model" / "model.json")
    return model, make_tokens(root / "tokens", LENGTHS)


@pytest.fixture(scope="module", params=["float16", "bfloat16"])
def records(request, sources, tmp_path_factory):
    root = tmp_path_factory.mktemp("activations")
    return [
        harvest_hooks(root / kind, [HOOK], *sources, dtype=request.param, live=kind == "live")[HOOK]
        for kind in ("stored", "live")
    ]


@pytest.fixture(scope="module")
def saes(records, tmp_path_factory):
    """Of the store, then live: records by name; a window holds only a part of the rows."""
    roots = [tmp_path_factory.mktemp(kind) for kind in ("stored", "live")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "Loader", partial(Loader, window_rows=300))
        return [
            {
                name: published(root, name, lambda w, s=settings, r=record: train_saes([(w, s)], r))
                for name, settings in SAES.items()
            }
            for root, record in zip(roots, records, strict=True)
        ]


def weights(record):
    return content(place(record.parents[1], record.parent.name))[WEIGHTS]


@pytest.mark.parametrize("name", list(SAES))
def test_training_ends_at_the_same_weights(name, saes):
    stored, live = (weights(found[name]) for found in saes)
    assert stored == live


def test_fine_tuning_ends_at_the_same_weights(records, saes, tmp_path):
    found = []
    for kind, record, parents in zip(("stored", "live"), records, saes, strict=True):
        work = place(tmp_path / kind, "tuned")
        tune_saes([(work, TUNING, parents["relu"])], record)
        found.append(content(work)[WEIGHTS])
    assert found[0] == found[1] != weights(saes[0]["relu"])


def clean(root, activations, sources):
    """Return the task of what the model makes of the activations."""
    inputs = dict(zip(("model", "tokens"), sources, strict=True))
    return measure_hooks(root, {HOOK: activations}, **inputs)[HOOK]


def measured(kind, root, sae, activations, sources):
    """Return the task of an SAE's measure."""
    inputs = {"activations": activations}
    if kind == "language":
        inputs |= dict(zip(("model", "tokens"), sources, strict=True))
        inputs["clean"] = clean(root, activations, sources).output
    settings = {"classes": 8, "rows": 200} if kind == "probes" else {}
    return measure(kind, root, {"sae": sae}, settings, **inputs)["sae"]


@pytest.mark.parametrize("kind", ["reconstruction", "probes"])
def test_measures_give_the_same_sums(kind, sources, records, saes, tmp_path):
    stored, live = (
        measured(kind, tmp_path / str(n), saes[n]["topk"], records[n], sources) for n in (0, 1)
    )
    tables = [(task.work.final / "documents.parquet").read_bytes() for task in (stored, live)]
    assert tables[0] == tables[1]


def test_measures_in_the_model_differ_by_no_more_than_the_rounding(
    sources, records, saes, tmp_path
):
    stored, live = (
        table(measured("language", tmp_path / str(n), saes[n]["topk"], records[n], sources))
        for n in (0, 1)
    )
    errors = [
        clean(tmp_path / f"clean-{n}", records[n], sources).work.manifest["storage_error_max"]
        for n in (0, 1)
    ]
    assert errors[0] > 0 == errors[1]
    assert (live["ce_clean"] != stored["ce_clean"]).any()
    difference = (live["ce_clean"] - stored["ce_clean"]).abs() / live["predictions"]
    assert difference.max() <= errors[0]


def test_a_measure_in_the_model_loads_it_once(sources, records, saes, tmp_path, monkeypatch):
    from saeflow.models import load

    load._loaded.cache_clear()
    loads, original = [], load.load_directory
    monkeypatch.setattr(
        load, "load_directory", lambda *a, **o: loads.append(a) or original(*a, **o)
    )
    measured("language", tmp_path, saes[1]["topk"], records[1], sources)
    assert len(loads) == 1


def test_a_training_says_first_what_it_mixes_and_what_that_takes(
    records, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(sweep, "Loader", partial(Loader, window_rows=300))
    with caplog.at_level(logging.INFO):
        train_saes([(place(tmp_path, "relu"), {**SAES["relu"], "epochs": 1})], records[0])
    (line,) = [r.getMessage() for r in caplog.records if "are mixed at a time" in r.getMessage()]
    assert line.startswith(f"{HOOK}: 256 rows are mixed") and "MiB" in line


def test_one_pass_trains_all_saes_of_a_hook_on_one_computation(records, tmp_path, caplog):
    works = [(place(tmp_path, str(seed)), {**SAES["topk"], "seed": seed}) for seed in range(3)]
    with caplog.at_level(logging.INFO):
        train_saes(works, records[1])
    (line,) = [
        r.getMessage() for r in caplog.records if "through the model so far" in r.getMessage()
    ]
    n_train = sum(LENGTHS["train"])
    told = int(line.split("live: ")[1].split(" ")[0].replace(",", ""))
    assert n_train <= told < 2 * n_train
    assert len({content(work)[WEIGHTS] for work, _ in works}) == 3
