"""Everything that reads a store gives the same bits where the activations are live."""

from __future__ import annotations

import logging

import pytest

from sae_stores import content, place, published
from saeflow.finetune.sweep import finetune_sweep
from saeflow.measures.language import measure_language
from saeflow.measures.probes import measure_probes
from saeflow.measures.reconstruction import measure_reconstruction
from saeflow.sae.training.sweep import train_sweep
from saeflow.work import hold
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_tokens, save_model

HOOK = "resid_post.1"
LENGTHS = {"train": [30, 5, 17, 32, 2, 9] * 20, "validation": [11, 7], "test": [32, 9, 8, 30] * 3}
COMMON = {"expansion": 2, "batch_size": 64, "log_tokens": 512, "seed": 0}
SAES = {
    "relu": {"architecture": "relu", "l1": 0.03, "epochs": 2, "window_rows": 300, **COMMON},
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
METRICS = {"bootstrap": 100, "seed": 0}


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
    """Of the store, then live: records by name."""
    roots = [tmp_path_factory.mktemp(kind) for kind in ("stored", "live")]
    return [
        {
            name: published(root, name, lambda w, s=settings, r=record: train_sweep([(w, s)], r))
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
        finetune_sweep([(work, TUNING, parents["relu"])], record)
        found.append(content(work)[WEIGHTS])
    assert found[0] == found[1] != weights(saes[0]["relu"])


def test_measures_give_the_same_sums(sources, records, saes, tmp_path):
    model, tokens = sources
    found = []
    for kind, record, trained in zip(("stored", "live"), records, saes, strict=True):
        tables = []
        for measure in ("reconstruction", "language", "probes"):
            with hold(tmp_path / kind / f"{measure}.json", "i" * 64) as work:
                wanted = [(work, trained["topk"])]
                if measure == "reconstruction":
                    metrics = {"metrics": ["fvu", "l0"], **METRICS}
                    measure_reconstruction(wanted, record, metrics)
                elif measure == "probes":
                    metrics = {"metrics": ["probe_loss_sae"], "classes": 8, "rows": 200, **METRICS}
                    measure_probes(wanted, record, metrics)
                else:
                    metrics = {"metrics": ["ce_loss_sae", "kl"], **METRICS}
                    measure_language(
                        wanted, model=model, tokens=tokens, activations=record, settings=metrics
                    )
                tables.append((work.final / "documents.parquet").read_bytes())
        found.append(tables)
    assert found[0] == found[1]


def test_a_measure_in_the_model_loads_it_once(sources, records, saes, tmp_path, monkeypatch):
    from saeflow.models import load

    load._loaded.cache_clear()
    loads, original = [], load.load_directory
    monkeypatch.setattr(
        load, "load_directory", lambda *a, **o: loads.append(a) or original(*a, **o)
    )
    with hold(tmp_path / "language.json", "i" * 64) as work:
        measure_language(
            [(work, saes[1]["topk"])],
            model=sources[0],
            tokens=sources[1],
            activations=records[1],
            settings={"metrics": ["kl"], **METRICS},
        )
    assert len(loads) == 1


def test_a_training_says_first_what_it_mixes_and_what_that_takes(records, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        train_sweep([(place(tmp_path, "relu"), {**SAES["relu"], "epochs": 1})], records[0])
    (line,) = [r.getMessage() for r in caplog.records if "are mixed at a time" in r.getMessage()]
    assert line.startswith(f"{HOOK}: 256 rows are mixed") and "MiB" in line


def test_one_pass_trains_all_saes_of_a_hook_on_one_computation(records, tmp_path, caplog):
    works = [(place(tmp_path, str(seed)), {**SAES["topk"], "seed": seed}) for seed in range(3)]
    with caplog.at_level(logging.INFO):
        train_sweep(works, records[1])
    (line,) = [
        r.getMessage() for r in caplog.records if "through the model so far" in r.getMessage()
    ]
    n_train = sum(LENGTHS["train"])
    told = int(line.split("live: ")[1].split(" ")[0].replace(",", ""))
    assert n_train <= told < 2 * n_train
    assert len({content(work)[WEIGHTS] for work, _ in works}) == 3
