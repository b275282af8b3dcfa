"""Answers to prompt sets as jobs: from saved SAEs and prompts to sums on disk."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from measured import measure, publish_words, table
from saeflow.errors import SaeflowError
from saeflow.files import hash_tree, read_json
from saeflow.measures.answers.asking import Patch, ask
from saeflow.measures.answers.measure import questions_of
from saeflow.models.hooks import Hook
from saeflow.prompts.encode import encode_prompts
from saeflow.prompts.prompt import Prompt, write_prompts
from saeflow.work import bulk_of, hold
from tiny_models import make_model, make_tokenizer
from tiny_saes import Rescale, make_sae, publish_sae
from tiny_stores import save_model

D = 16
SETTINGS = {"after": False, "published_mode": False}
PROMPTS = [
    Prompt("w3 w4 w5 w6", "w7", ["w7", "w8"], " w9", "w8"),
    Prompt("w9 w9", "w10 w11", ["w10 w11", "w12", "w13"], " w9"),
    Prompt("w20 w21 w22", "w23"),
]


def publish(root, seed, hook="resid_post.1", **header):
    return publish_sae(root, make_sae(3 * D, D, seed, hook=hook, **header))


def publish_prompts(record, prompts, kind="choice", window=2):
    with hold(record, f"prompts of {record.parent.name}") as work:
        write_prompts(work.path, prompts)
        work.finish({"kind": kind, "window": window, "n_prompts": len(prompts)})
    return record


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    return {
        "model": save_model(make_model("gpt_neox"), root / "model" / "model.json"),
        "tokenizer": publish_words(root),
        "prompts": publish_prompts(root / "prompts" / "prompts.json", PROMPTS),
        "saes": {
            "a": publish(root / "a", 0),
            "b": publish(root / "b", 1, "resid_pre.0"),
        },
    }


def run(made, place, names=("a", "b"), **settings):
    inputs = {name: made[name] for name in ("model", "tokenizer", "prompts")}
    saes = {name: made["saes"][name] for name in names}
    return measure("answers", place, saes, {**SETTINGS, **settings}, **inputs)


def test_each_prompt_has_its_sums_its_texts_and_its_features(made, tmp_path):
    tasks = run(made, tmp_path)
    sums, texts = table(tasks["a"]), table(tasks["a"], "prompts")
    assert sums["document"].tolist() == texts["prompt"].tolist() == [0, 1, 2]
    assert sums["choices"].tolist() == [1, 1, 0] and sums["contrasts"].tolist() == [1, 0, 0]
    assert sums["chance"].tolist() == pytest.approx([1 / 2, 1 / 3, 0])
    assert texts["end"].tolist() == [prompt.text for prompt in PROMPTS]
    assert texts["answer"].tolist() == ["w7", "w10 w11", "w23"]
    words = make_tokenizer()
    known = [word in words.get_vocab() for word in (*texts["top"], *texts["top_clean"])]
    assert all(known)
    right = texts["top"] == [word.split()[0] for word in texts["answer"]]
    assert (sums["right_first_sae"] == right).all()
    features = table(tasks["a"], "features")
    assert list(features) == ["prompt", "latent", "n_active", "max_activation", "sum_activation"]
    assert features["n_active"].sum() == sums["active"].sum()
    assert features["sum_activation"].sum() == pytest.approx(sums["activation"].sum())
    assert features.groupby("prompt")["n_active"].max().le(2).all()  # of a window of two
    expected = {"n_documents": 3, "n_tokens": 9, "kind": "choice", "window": 2, "n_cut": 0}
    expected |= {"n_of_one_token": 2}
    assert expected.items() <= read_json(tasks["a"].output).items()
    assert all(sums[name].dtype == np.float64 for name in sums if name != "document")


def test_the_untouched_model_is_the_same_beside_every_sae(made, tmp_path):
    tasks = run(made, tmp_path)
    one, other = table(tasks["a"]), table(tasks["b"])
    clean = [name for name in one if name.endswith("_clean")]
    pd.testing.assert_frame_equal(one[clean], other[clean])
    assert (one["log_p_sae"] != other["log_p_sae"]).all()


def test_together_and_alone_give_the_same_bytes(made, tmp_path):
    together = run(made, tmp_path / "together")
    for name in "ab":
        alone = run(made, tmp_path / name, [name])[name]
        assert hash_tree(alone.work.final) == hash_tree(together[name].work.final)


def test_prompt_sets_of_one_pass_do_not_mix(made, tmp_path):
    other = publish_prompts(tmp_path / "other" / "prompts.json", PROMPTS[:1])
    alone = run({**made, "prompts": other}, tmp_path / "alone", ["a"])["a"]
    assert table(alone)["log_p_sae"][0] == pytest.approx(
        table(run(made, tmp_path / "both", ["a"])["a"])["log_p_sae"][0], abs=1e-5
    )
    assert len(table(alone)) == 1


def test_an_sae_that_cannot_be_read_or_used_fails_alone(made, tmp_path):
    bad = publish(tmp_path / "bad", 7)
    (bulk_of(bad) / "sae_weights.safetensors").write_bytes(b"")
    other = {"name": "x", "weights_sha256": "f" * 64}
    foreign = publish(tmp_path / "foreign", 8, model=other)
    saes = {"bad": bad, "foreign": foreign, "a": made["saes"]["a"]}
    tasks = run({**made, "saes": saes}, tmp_path / "on", list(saes))
    for name in ("bad", "foreign"):
        assert isinstance(tasks[name].error, SaeflowError) and not tasks[name].finished
    alone = run(made, tmp_path / "alone", ["a"])["a"]
    assert hash_tree(alone.work.final) == hash_tree(tasks["a"].work.final)
    nobody = run({**made, "saes": saes}, tmp_path / "nobody", ["bad"])
    assert nobody["bad"].error is not None


def test_a_transcoder_reads_at_its_hook_and_is_put_at_its_target(made, tmp_path):
    record = publish(tmp_path / "t", 3, "resid_pre.1", target={"hook": "mlp_out.1"})
    found = table(run({**made, "saes": {"t": record}}, tmp_path / "on", ["t"])["t"])
    plain = publish(tmp_path / "p", 3, "resid_pre.1")
    other = table(run({**made, "saes": {"p": plain}}, tmp_path / "on", ["p"])["p"])
    assert (found["active"] == other["active"]).all()  # they read the same
    assert (found["log_p_sae"] != other["log_p_sae"]).all()


def test_settings_add_what_was_published_and_the_rest_of_the_sentence(made, tmp_path):
    plain = table(run(made, tmp_path / "plain", ["a"])["a"])
    published = table(run(made, tmp_path / "published", ["a"], published_mode=True)["a"])
    assert plain["published"].sum() == 0 and published["published"].sum() == 2
    ours = [name for name in plain if not name.startswith("published")]
    pd.testing.assert_frame_equal(plain[ours], published[ours])


def test_what_follows_counts_where_candidates_are_compared_alone():
    encoded = encode_prompts(make_tokenizer(), PROMPTS, 32)
    with_rest, without = (questions_of(encoded, after=after) for after in (True, False))
    assert [q.after for q in with_rest] == [(9,), (9,), ()]
    assert [q.after for q in without] == [(), (), ()]
    assert with_rest[1].answer == without[1].answer == (10, 11)
    assert [q.distractor for q in without] == [8, -1, -1]
    assert without[0].special.tolist() == [True, False, False, False, False]


def test_a_distractor_that_begins_as_the_answer_does_is_no_contrast(made, tmp_path):
    alike = Prompt("w3 w4", "w7 w8", ["w7 w8", "w7 w9"], distractor="w7 w9")
    record = publish_prompts(tmp_path / "alike" / "prompts.json", [alike, PROMPTS[0]])
    task = run({**made, "prompts": record}, tmp_path / "on", ["a"])["a"]
    assert table(task)["contrasts"].tolist() == [0, 1]
    assert read_json(task.output)["n_not_told_apart"] == 1


@pytest.mark.slow
def test_real_lambada_is_scored_as_hugging_face_scores_whole_texts(real_data):
    """All tokens of the last word count, its space among them; a tiny model knows a hundredth."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(real_data / "stories260K").eval()
    tokenizer = AutoTokenizer.from_pretrained(real_data / "stories260K")
    lines = (real_data / "benchmarks" / "lambada_test.jsonl").read_text().splitlines()[:300]
    texts = [json.loads(line)["text"] for line in lines]
    prompts = [Prompt(*text.rsplit(" ", 1)) for text in texts]
    questions = questions_of(encode_prompts(tokenizer, prompts, 512), after=False)
    hook = Hook.parse("resid_post.1")
    (found,) = ask(model, [Patch(Rescale(), hook, hook, "")], questions, window=32)
    sums = found.prompts
    for number, text in enumerate(texts[:30]):
        whole = [1, *tokenizer(text, add_special_tokens=False)["input_ids"]]
        n_before = len(questions[number].ids)
        labels = torch.tensor([[-100] * n_before + whole[n_before:]])
        loss = model(torch.tensor([whole]), labels=labels).loss.item()
        n_answer = len(whole) - n_before
        assert n_answer == len(questions[number].answer)
        assert sums["log_p_sae"][number] == pytest.approx(-n_answer * loss, abs=1e-3)
    assert 0.005 < sums["right_clean"].mean() < 0.03
    np.testing.assert_array_equal(sums["right_sae"], sums["right_clean"])
