"""Settings and records are made up; each cell that is compared was written by hand."""

from pathlib import Path

import pandas as pd
import pytest

from saeflow import paths
from saeflow.files import write_json
from saeflow.inventory import with_checksum
from saeflow.report.run import what_was_run
from saeflow.report.words import by_split, listed, number, several, source
from saeflow.tables.runs import natural
from saeflow.work import hold

IDENTITY = "1" * 64
PLACE = {"model": "m", "dataset": "stories", "packing": "pack-256"}
RELU = {
    "architecture": "relu", "expansion": 4.0, "learning_rate": 0.002, "batch_size": 1024,
    "epochs": 1, "adam_beta1": 0.9, "own": {"l1": 0.03, "scale_input": "none", "target": None},
}  # fmt: skip
TOPK = {**RELU, "architecture": "topk", "epochs": 2, "own": {"k": 8}}


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Return a function that writes a record and names it."""
    monkeypatch.chdir(tmp_path)

    def record(path, **facts):
        write_json(path, with_checksum({"identity": IDENTITY, **facts}))
        return [str(path), IDENTITY]

    return record


def sae(there, recipe, hook, seed, **facts):
    path = paths.fill(paths.SAE, **PLACE, hook=hook, sae=recipe, seed=seed)
    return there(path, **facts) if facts else [str(path), IDENTITY]


def told(settings, records, tables=()):
    """Return title -> rows as mappings from column to cell."""
    sections = what_was_run(settings, records, tables)
    return {
        section.title: [dict(zip(section.columns, row, strict=True)) for row in section.rows]
        for section in sections
    }


def test_of_a_model_its_source_size_and_clean_perplexity(there):
    settings = {
        "models": {
            "m": {"rule": "fetch_model", "hub": "org/name", "revision": "0123456789abcdef" * 2},
            "own": {
                "rule": "train_lm", "n_layers": 4, "d_model": 128, "tokens": 2_600_000,
                "learning_rate": 0.003, "context_length": None, "from_tokens": "w/world/lm-256",
                "from_tokenizer": "w",
            },
            "own@64": {"rule": "select_checkpoint", "step": 64, "from_model": "own"},
            "own-noise": {
                "rule": "shuffle_model", "seed": 0, "embeddings": True, "from_model": "own",
            },
        }
    }  # fmt: skip
    facts = {"architecture": "Llama", "n_layers": 5, "d_model": 64, "weights_sha256": "ab" * 32}
    records = {
        "models": {
            "m": [there("m.json", **facts, vocab_size=32_000)],
            "own": [["own.json", IDENTITY]],
            "own@64": [["own64.json", IDENTITY]],
            "own-noise": [["noise.json", IDENTITY]],
        }
    }
    scores = pd.DataFrame({"model": "m", "perplexity": [12.8571, 12.8571, None]})
    hub, own, checkpoint, noise = told(settings, records, [pd.DataFrame({"sae": ["a"]}), scores])[
        "Language models"
    ]
    assert hub == {
        "model": "m", "source": "org/name at 0123456789ab", "architecture": "Llama",
        "blocks": "5", "width": "64", "vocabulary": "32,000", "clean perplexity": "12.86",
        "weights (SHA-256)": "abababababab", "settings": "",
    }  # fmt: skip
    assert own["source"] == "trained here on world, packed as lm-256"
    assert (own["blocks"], own["width"]) == ("4", "128")
    assert own["settings"] == "tokens 2,600,000, learning_rate 0.003"
    assert noise["source"] == "own with the entries of each weight permuted"
    assert checkpoint["source"] == "own after 64 steps" and checkpoint["blocks"] == ""


def test_of_texts_and_tokens_how_many_there_are_by_split(there):
    generate = {"rule": "generate_dataset", "generate": {"seed": 3, "n_tokens": 4_600_000}}
    splits = {"splits": {"train": 0.92, "validation": 0.02, "test": 0.06}, "splits_seed": 0}
    packing = {"context_length": 256, "mode": "pack", "bos": True, "tokens": {"test": 10_000}}
    settings = {
        "datasets": {"world": {**generate, **splits}},
        "tokens": {"words/world/pack-256": packing},
    }
    counts = {"train": 4_413, "validation": 542, "test": 527}
    tokens = {"train": 99_840, "test": 9_984}
    records = {
        "datasets": {"world": [there("d.json", n_documents=counts)]},
        "tokens": {"words/world/pack-256": [there("t.json", n_tokens=tokens)]},
    }
    found = told(settings, records)
    assert found["Datasets"] == [
        {
            "dataset": "world",
            "source": "generated here: the built-in world",
            "shares (train / validation / test)": "0.92 / 0.02 / 0.06",
            "documents (train / validation / test)": "4,413 / 542 / 527",
            "settings": "seed 3, n_tokens 4,600,000, splits_seed 0",
        }
    ]
    (row,) = found["Tokens"]
    assert row["tokens (train / validation / test)"] == "99,840 / – / 9,984"
    assert row["settings"] == "bos yes, at_most – / – / 10,000"
    assert (row["tokenizer"], row["packing"], row["context"]) == ("words", "pack-256", "256")


def test_of_prompt_sets_where_they_are_from_how_many_and_among_how_many(there):
    settings = {
        "prompts": {
            "cbt": {"rule": "fetch_prompts", "hub": "org/cbt", "revision": "0123456789abcdef" * 2,
                    "config": "CN", "split": "validation", "form": "auto", "n_prompts": 900,
                    "window": None},
            "ioi": {"rule": "fetch_prompts", "generate": "ioi", "seed": 3, "n_prompts": None,
                    "window": 8},
            "who": {"rule": "fetch_prompts", "generate": "owner_binding", "n_prompts": None,
                    "window": None, "from_dataset": "stories"},
        },
        "measures": {"answers/m/cbt/prompts": {"measure": "answers"}},
    }  # fmt: skip
    cbt = {"kind": "cloze", "n_prompts": 900, "window": 128, "chance": 0.1025}
    records = {
        "prompts": {
            "cbt": [there("cbt.json", **cbt, n_candidates={"min": 9, "max": 10})],
            "ioi": [["ioi.json", IDENTITY]],
            "who": [there("who.json", kind="last_word", n_prompts=1_500, window=32)],
        },
        "measures": {"answers/m/cbt/prompts": [there("a.json", n_documents=900)]},
    }
    found = told(settings, records)
    one, ioi, who = found["Prompt sets"]
    assert one == {
        "prompts": "cbt", "source": "org/cbt at 0123456789ab", "kind": "cloze", "number": "900",
        "candidates": "9 to 10", "chance": "0.1025", "window": "128",
        "settings": "config CN, split validation, form auto",
    }  # fmt: skip
    assert ioi["source"] == "generated here: ioi, of templates in English"
    assert (ioi["settings"], ioi["number"]) == ("seed 3", "")
    assert who["source"] == "generated here: owner_binding, of the world stories"
    assert (who["kind"], who["number"], who["candidates"]) == ("last word", "1,500", "")
    (asked,) = found["Evaluation"]
    assert (asked["on"], asked["documents"]) == ("the prompts cbt", "900 prompts")


def test_of_labelled_texts_where_they_are_from_how_many_and_what_was_left_out(there):
    settings = {
        "labelled": {
            "films": {"rule": "fetch_labelled", "name": "films", "path_sha256": "ab" * 32,
                      "shift_path_sha256": "cd" * 32, "label": "target", "balance": "none",
                      "examples": None},
            "reviews": {"rule": "fetch_labelled", "name": "reviews", "generate": "sentiment",
                        "world": {"seed": 3, "n_prompts": 9}, "seed": 0},
        }
    }  # fmt: skip
    copies = {"n_repeated": 2, "n_shared": 0, "n_shared_shift": 1}
    films = {
        "n_tasks": 5, "n_train": 1200, "n_test": 30, "n_shift": 0, "left_out": {"b": "why"},
        "datasets": {"a": copies, "b": copies},
    }  # fmt: skip
    records = {"labelled": {"films": [there("f.json", **films)], "reviews": [["r.json", IDENTITY]]}}
    one, reviews = told(settings, records)["Labelled texts"]
    assert one == {
        "labelled texts": "films", "source": "local, SHA-256 abababababab", "datasets": "2",
        "tasks": "5", "tasks left out": "1", "texts (train / test / shift)": "1,200 / 30 / 0",
        "copies (in the split / in test / in training)": "4 / 0 / 2",
        "settings": "label target, balance none",
    }  # fmt: skip
    assert reviews["source"] == "generated here: reviews of the built-in world, seed 3"
    assert (reviews["tasks"], reviews["settings"]) == ("", "seed 0")


def test_of_saes_recipe_penalty_width_tokens_and_how_many_there_are(there):
    facts = {"architecture": "relu", "d_in": 64, "d_sae": 256, "training": {"tokens": 98_304}}
    settings = {"saes": {"relu": RELU, "topk-16": TOPK, "topk-8": {**TOPK, "epochs": 1}}}
    records = {
        "saes": {
            "relu": [
                sae(there, "relu", "resid_post.10", 0, **facts),
                sae(there, "relu", "resid_post.2", 0, **facts),
                sae(there, "relu", "resid_post.2", 1),
            ],
            "topk-8": [sae(there, "topk-8", "resid_post.2", 0, architecture="topk")],
            "topk-16": [sae(there, "topk-16", "resid_post.2", 0)],
        }
    }
    relu, eight, sixteen = told(settings, records)["Sparse autoencoders"]
    assert relu == {
        "recipe": "relu", "architecture": "relu", "d_in": "64", "latents": "256",
        "tokens trained on": "98,304", "learning rate": "0.002", "batch": "1,024",
        "hooks": "resid_post.2, resid_post.10", "seeds": "0, 1", "SAEs": "2 of 3",
        "own settings": "l1 0.03, scale_input none, epochs 1",
    }  # fmt: skip
    assert (eight["recipe"], sixteen["recipe"]) == ("topk-8", "topk-16")
    assert sixteen["own settings"].startswith("k 8") and "epochs 2" in sixteen["own settings"]
    (section,) = what_was_run(settings, records, [])
    assert "All alike: expansion 4, adam_beta1 0.9." in section.note


def test_of_fine_tuning_what_is_fitted_how_and_of_which_recipes(there):
    steps = {"solver": "steps", "method": "unrotated_decoder", "learning_rate": 0.004,
             "batch_size": 512, "tokens": 500_000, "own": {}}  # fmt: skip
    exact = {"solver": "exact", "method": "decoder", "tokens": None, "own": {"ridge": 0.5}}
    settings = {"methods": {"bias": steps, "decoder-exact": exact}}
    records = {
        "methods": {
            "bias": [sae(there, f"{of}~bias", "resid_post.2", 0, d_sae=4) for of in ("a", "b")],
            "decoder-exact": [sae(there, "a~decoder-exact", "resid_post.2", 0)],
        }
    }
    bias, closed = told(settings, records)["Fine-tuning"]
    assert bias["what is fitted"] == "unrotated decoder" and bias["solver"] == "gradient steps"
    assert (bias["of recipes"], bias["SAEs"], bias["tokens fitted to"]) == ("a, b", "2", "500,000")
    assert closed["solver"] == "closed form" and closed["own settings"] == "ridge 0.5"
    assert closed["SAEs"] == "0 of 1" and closed["learning rate"] == ""


def test_of_measures_on_how_much_and_with_which_intervals(there):
    name = "reconstruction/m/stories/pack-256"
    settings = {
        "measures": {name: {"measure": "reconstruction"}},
        "intervals": {"tables": {"bootstrap": 1000, "seed": 3}},
    }
    given = [there(f"{n}.json", n_tokens=9_918, n_documents=28) for n in range(3)]
    (section,) = what_was_run(settings, {"measures": {name: given}}, [])
    assert section.rows == [
        ["reconstruction", "m", "stories, packed as pack-256", "9,918", "28", "3"]
    ]
    assert section.note.endswith("from 1,000 resamples of the documents (seed 3).")


def test_a_record_of_another_identity_is_not_read_and_its_own_bulk_is(there):
    """Another configuration made its own result of that name meanwhile."""
    path = Path("results/datasets/d/dataset.json")
    with hold(path, IDENTITY) as work:
        work.finish({"n_documents": {"train": 7}})
    write_json(path, with_checksum({"identity": "2" * 64, "n_documents": {"train": 8}}))
    settings = {"datasets": {"d": {"rule": "fetch_dataset", "path_sha256": "f" * 64}}}
    (row,) = told(settings, {"datasets": {"d": [[str(path), IDENTITY]]}})["Datasets"]
    assert row["documents (train / validation / test)"] == "7 / – / –"


def test_cells_in_words():
    assert [number(v) for v in (None, True, 1234, 0.000123456, "x")] == [
        "", "yes", "1,234", "0.0001235", "x",
    ]  # fmt: skip
    assert several([3, 3, None, {}, 5]) == "3, 5" and several([1, 2, 3, 4000]) == "1 to 4,000"
    assert listed({"a": 0.5, "b": None, "c": {}, "d": {"e": [1, False]}}) == "a 0.5, d (e 1 no)"
    assert by_split({}) == "" and by_split({"test": 0}) == "– / – / 0"
    assert sorted(["resid_post.10", "mlp_out.2", "resid_post.2"], key=natural) == [
        "mlp_out.2", "resid_post.2", "resid_post.10",
    ]  # fmt: skip
    assert source({"rule": "sample_dataset", "from_model": "m"}) == "sampled here from m"
