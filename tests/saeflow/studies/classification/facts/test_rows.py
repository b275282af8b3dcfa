"""Facts are asked of SAEs that read words of a world, with splits to choose and to count on."""

import copy

import pytest
import yaml

from saeflow.config.checks import resolve
from saeflow.errors import ConfigError
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.studies.classification.facts import TABLES, has_widths
from saeflow.studies.classification.facts.rows import known_facts, known_facts_on_shuffled
from saeflow.studies.study import ON

CONFIG = yaml.safe_load("""
models:
  small: {train: {dataset: world, packing: long, tokenizer: words}}
  noise: {shuffle: small}
tokenizers:
  words: {train: world}
datasets:
  world: {generate: {seed: 0, n_tokens: 100000}}
  texts: {path: texts.txt}
packings:
  long: {context_length: 64}
  short: {context_length: 16}
labelled:
  films: {path: films.csv, text: text, label: label}
saes:
  topk: {architecture: topk, k: 4}
  wide: {architecture: topk, k: 4, expansion: 8}
  neurons: {architecture: identity}
  transcoder: {architecture: topk, k: 4, target: mlp_out}
studies:
  classification:
    models: [small]
    labelled: [films]
    evaluate_on: {dataset: world, packing: long}
    hooks: [resid_post.0, resid_post.1]
    saes: [topk, wide]
""")


@pytest.fixture
def resolved():
    """Return a function from keys of the study, and changes, to the configuration and section."""

    def resolve_with(change=lambda config: None, **study):
        config = copy.deepcopy(CONFIG)
        config["studies"]["classification"].update(study)
        change(config)
        config = resolve(config)
        return config, config["studies"]["classification"]

    return resolve_with


def names(rows):
    return [(row["model"], row["hook"], row["sae"]) for row in rows]


def test_the_saes_of_the_study_or_those_that_are_named(resolved):
    hooks = ("resid_post.0", "resid_post.1")
    assert names(known_facts(*resolved())) == [
        ("small", hook, sae) for hook in hooks for sae in ("topk", "wide")
    ]
    found = known_facts(*resolved(fact_saes=["topk", "neurons"]))
    assert names(found) == [("small", hook, sae) for hook in hooks for sae in ("topk", "neurons")]


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["studies"]["classification"].update(
            evaluate_on={"dataset": "texts", "packing": "long"}
        ),
        lambda config: config["packings"]["long"].update(tokens={"validation": 0}),
        lambda config: config["datasets"]["world"].update(
            splits={"train": 0.9, "validation": 0.0, "test": 0.1}
        ),
        lambda config: config["models"].update(small={"path": "somewhere"}),
    ],
    ids=["other texts", "no validation tokens", "no validation split", "another tokenizer"],
)
def test_nothing_is_asked_where_nothing_is_known(resolved, change):
    assert not names(known_facts(*resolved(change)))


def test_transcoders_are_left_out(resolved):
    found = known_facts(*resolved(fact_saes=["transcoder", "topk"], hooks=["resid_pre.0"]))
    assert names(found) == [("small", "resid_pre.0", "topk")]


def test_shuffled_models_stand_beside_the_real_one_in_one_place(resolved):
    assert not list(known_facts_on_shuffled(*resolved()))
    place = {"dataset": "world", "packing": "short"}
    controls = {"control_models": ["noise"], "control_saes": ["topk"], "control_on": place}
    rows = list(known_facts_on_shuffled(*resolved(**controls, control_hooks=["resid_post.1"])))
    assert names(rows) == [(model, "resid_post.1", "topk") for model in ("small", "noise")]
    assert all(row[ON] == place and row["packing"] == "short" for row in rows)
    with pytest.raises(ConfigError, match="control_models"):
        resolved(control_models=["small"], control_saes=["topk"])


def test_widths_are_compared_where_saes_differ_in_them(resolved):
    assert has_widths(*resolved())
    assert not has_widths(*resolved(fact_saes=["topk", "neurons"]))


@pytest.fixture
def films(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "films.csv").write_text("text,label\\ngood,1\\nbad,0\\n")


def test_tables_are_made_of_the_measurements_of_one_pass(resolved, films):
    outputs = Outputs(Plan(resolved()[0]))
    assert {"facts", "facts_captured"} <= set(outputs.tables("classification"))
    assert "facts_on_shuffled" not in outputs.tables("classification")
    table = outputs.table("classification", "facts")
    measured = table.inputs["facts"]
    assert len(measured) == len(table.inputs["sae"]) == 4
    assert len({tuple(sorted(one.place.items())) for one in measured}) == 1  # one pass
    assert set(measured[0].inputs) == {"sae", "activations", "dataset"}
    assert set(TABLES) == {"facts", "facts_captured", "facts_on_shuffled"}


def test_facts_that_are_left_out_have_no_table(resolved, films):
    config, _ = resolved(lambda config: config.update(measures={"facts": None}))
    tables = Outputs(Plan(config)).tables("classification")
    assert not {"facts", "facts_captured"} & set(tables)
