import pytest

from saeflow.models.fetch import fetch_model
from saeflow.work import hold
from tiny_models import make_model

CONFIG = """
models:
  own: {path: local}
  trained: {train: {dataset: texts, packing: p, tokenizer: t}}
tokenizers: {t: {train: texts}}
datasets: {texts: {path: texts.txt}}
packings: {p: {context_length: 8}}
saes: {topk: {architecture: topk, k: 2}}
studies:
  suppression:
    models: [own]
    train_on: {dataset: texts, packing: p}
    evaluate_on: {dataset: texts, packing: p}
    hooks: [resid_post.0]
    saes: [topk]
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def listed(printed):
    return [line.split() for line in printed.splitlines() if not line.startswith("#")]


def test_a_local_directory_has_its_sites_for_every_block_with_the_width(here, done):
    make_model("gpt_neox").save_pretrained(here / "local")
    printed = done("hooks", "local")
    assert "GPTNeoXForCausalLM: 3 blocks, width 16" in printed
    sites = ("resid_pre", "attn_out", "mlp_out", "resid_post")
    assert listed(printed) == [[f"{site}.{block}", "16"] for block in range(3) for site in sites]


def test_weights_are_not_needed(here, saeflow):
    make_model("gpt2").save_pretrained(here / "local")
    (here / "local/model.safetensors").unlink()
    assert ["resid_mid.0", "16"] in listed(saeflow("hooks", "local")[1])


def test_a_fetched_model_is_found_by_its_name(here, saeflow):
    make_model("llama").save_pretrained(here / "elsewhere")
    with hold(here / "results/models/own/model.json", "a" * 64) as work:
        fetch_model(work, {}, here / "elsewhere")
        work.publish()
    assert ["resid_post.2", "16"] in listed(saeflow("hooks", "own")[1])


def test_a_model_that_is_not_here_yet_comes_with_the_command_that_makes_it(refused):
    printed = refused("hooks", "trained")
    assert "saeflow make results/models/trained/model.json" in printed


def test_an_unknown_name_lists_those_that_exist(refused):
    printed = refused("hooks", "owm")
    assert "expected one of own, trained, or a directory" in printed
