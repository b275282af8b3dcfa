from pathlib import Path

import pytest

from saeflow.errors import ConfigError
from saeflow.metrics.registry import MEASURES
from saeflow.paths import ON_LABELLED, ON_PROMPTS
from saeflow.plan.result import source

from .conftest import plan_of

PLACE = {"model": "small", "dataset": "texts", "packing": "ctx-64", "hook": "resid_post.1"}
ON = {"eval_dataset": "texts", "eval_packing": "ctx-64"}
ASKED = {"eval_dataset": "gifts", "eval_packing": ON_PROMPTS}
OTHER = {"prompts": ASKED, "labelled": {"eval_dataset": "moods", "eval_packing": ON_LABELLED}}


def make_plan(config):
    return plan_of(config, "study.yaml")


def test_a_result_is_made_once(config):
    plan = make_plan(config)
    assert plan.sae(**PLACE, sae="relu", seed="0") is plan.sae(**PLACE, sae="relu", seed=0)


def test_an_sae_reads_the_activations_of_its_hook_only(config):
    plan = make_plan(config)
    one = plan.sae(**PLACE, sae="relu", seed=0)
    assert list(one.upstream()) == [plan.activations(**PLACE)]
    assert one.code_roots == ("saeflow.sae.architectures.relu",)
    assert one.settings["seed"] == 0


def test_only_live_activations_depend_on_how_they_are_computed_live(config):
    stored = make_plan(config).activations(**PLACE)
    config["activations"] = {"live": True}
    plan = make_plan(config)
    alive = plan.activations(**PLACE)
    assert (stored.settings["live"], alive.settings["live"]) == (False, True)
    reached = [{n.partition(":")[0] for n in source().closure(o.roots)} for o in (stored, alive)]
    modules = {f"saeflow.activations.{name}" for name in ("live", "calibration")}
    assert modules <= reached[1] and "saeflow.activations.calibration" not in reached[0]
    sae = {**PLACE, "sae": "relu", "seed": 0}
    for one in (plan.sae(**sae), plan.measurement("reconstruction", **sae, **ON)):
        assert one.inputs["activations"] is alive


def test_a_fine_tuned_sae_reads_its_parent_and_has_the_settings_of_the_method(config):
    plan = make_plan(config)
    one = plan.sae(**PLACE, sae="relu~scale", seed=0)
    assert one.inputs["parent"] is plan.sae(**PLACE, sae="relu", seed=0)
    assert one.settings["method"] == "scale"
    assert "saeflow.finetune.methods:SCALE" in one.code_roots
    assert str(one.output).endswith("/relu~scale/seed-0/sae.json")


def test_no_formula_is_in_the_code_of_a_measurement(config):
    config["prompts"] = {"gifts": {"generate": "ioi"}}
    Path("moods.csv").write_text("text,label\nfine,1\ndull,0\n")
    config["labelled"] = {"moods": {"path": "moods.csv"}}
    plan = make_plan(config)
    config["measures"] = {"probes": {}}
    for measure in (name for name, one in MEASURES.items() if one.of == "sae" and one.metrics):
        on = next((on for name, on in OTHER.items() if name in MEASURES[measure].reads), ON)
        one = plan.measurement(measure, **PLACE, sae="topk", seed=0, **on)
        formulas = {f"saeflow.metrics.{measure}:{m.name}" for m in MEASURES[measure].metrics}
        assert not formulas & set(source().closure(one.roots))


def test_saes_of_one_hook_share_a_pass_and_those_of_another_do_not(config):
    plan = make_plan(config)
    passes = {
        (hook, sae): (one.rule, *one.place.values())
        for hook in ("resid_post.1", "resid_post.2")
        for sae in ("relu", "topk", "relu~scale")
        for one in [plan.sae(**{**PLACE, "hook": hook}, sae=sae, seed=0)]
    }
    assert passes["resid_post.1", "relu"] == passes["resid_post.1", "topk"]
    assert len(set(passes.values())) == 4


def test_a_local_file_enters_by_content_and_not_by_place(config):
    first = make_plan(config).dataset("texts")
    Path("elsewhere.txt").write_text("one two\n")
    config["datasets"]["texts"]["path"] = "elsewhere.txt"
    moved = make_plan(config).dataset("texts")
    assert moved.identity == first.identity
    assert moved.arguments == {"path": "elsewhere.txt"}
    Path("elsewhere.txt").write_text("three\n")
    assert make_plan(config).dataset("texts").identity != first.identity


def test_a_missing_local_file_is_an_error_of_its_key(config):
    config["datasets"]["texts"]["path"] = "none.txt"
    with pytest.raises(ConfigError, match="study.yaml > datasets > texts > path: there is no such"):
        make_plan(config).dataset("texts")


def test_a_model_that_needs_itself_is_refused_with_the_chain(config):
    config["datasets"]["texts"] = {"sample": {"model": "small", "n_documents": 1}}
    plan = make_plan(config)
    for _ in range(2):
        with pytest.raises(ConfigError, match="an entry needs itself") as caught:
            plan.model("small")
        chain = "model/small -> tokens/words/texts/ctx-64 -> dataset/texts -> model/small"
        assert chain in str(caught.value)


def test_one_error_does_not_make_the_next_question_a_cycle(config):
    config["datasets"]["texts"]["path"] = "none.txt"
    plan = make_plan(config)
    for _ in range(2):
        with pytest.raises(ConfigError, match="there is no such file"):
            plan.tokens("words", "texts", "ctx-64")


def test_a_checkpoint_is_a_model_that_reads_the_trained_one(config):
    plan = make_plan(config)
    one = plan.model("small@4")
    assert one.output == Path("results/models/small@4/model.json")
    assert one.settings == {"step": 4}
    assert list(one.upstream()) == [plan.model("small")]
    assert plan.tokenizer_name("small@4") == "words"


def test_a_shuffled_model_reads_the_one_it_is_made_of_and_its_tokens(config):
    config["models"]["noise"] = {"shuffle": "small@4", "seed": 3}
    plan = make_plan(config)
    one = plan.model("noise")
    assert (one.rule, one.output) == ("shuffle_model", Path("results/models/noise/model.json"))
    assert one.settings == {"seed": 3, "embeddings": True}
    assert list(one.upstream()) == [plan.model("small@4")]
    assert plan.tokenizer_name("noise") == "words"
    real, noise = (plan.activations(**{**PLACE, "model": m}) for m in ("small@4", "noise"))
    assert noise.inputs["tokens"] is real.inputs["tokens"]


def test_a_model_from_elsewhere_brings_its_tokenizer_unless_another_is_named(config):
    hub = {"hub": "org/m", "revision": "0" * 40}
    config["models"].update(own=hub, other={**hub, "tokenizer": "words"})
    plan = make_plan(config)
    assert plan.tokenizer_name("own") == "own"
    assert plan.tokenizer("own").rule == "copy_tokenizer"
    assert plan.tokenizer_name("other") == "words"
    assert plan.model("own").identity == plan.model("other").identity


def test_an_unknown_name_is_refused_with_those_that_exist(config):
    with pytest.raises(ConfigError, match="no 'x' under saes .expected one of relu, topk"):
        make_plan(config).sae(**PLACE, sae="x", seed=0)


def test_states_are_of_their_hook_and_lenses_read_them(config):
    config["labelled"] = {"reviews": {"path": "reviews.jsonl"}}
    Path("reviews.jsonl").write_text('{"text": "a", "label": 1}\n')
    plan = make_plan(config)
    on = {"eval_dataset": "reviews", "eval_packing": ON_LABELLED}
    one, other = (
        plan.measurement("states", model="small", hook=hook, **on)
        for hook in ("resid_post.1", "mlp_out.0")
    )
    assert one.identity != other.identity and one.place == other.place
    assert one.settings["hook"] == "resid_post.1" and one.settings["pooling"] == ["last"]
    assert list(one.inputs) == ["model", "tokenizer", "labelled"]
    lens = plan.measurement("lenses", model="small", hook="resid_post.1", **on)
    assert lens.inputs["states"] is one and "hook" not in lens.settings
    clean = plan.measurement("clean", model="small", hook="resid_post.1", **ON)
    assert "hook" not in clean.settings  # its activations are the hook's
