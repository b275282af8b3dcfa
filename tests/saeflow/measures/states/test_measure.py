"""The pass over labelled texts: whatever the batches, the padding, a kill or a full disk."""

import errno
import os

import numpy as np
import pytest
import torch

from labelled_by_hand import labelled, publish_labelled
from measured import measure_at_hooks, publish_words
from saeflow.errors import DiskFullError, ModelError
from saeflow.files import hash_tree, read_json
from saeflow.measures.states import measure as state_pass
from saeflow.measures.states import open_states
from saeflow.measures.states.files import StateWriter
from saeflow.models.layout import forward_arguments
from tiny_models import make_model, make_tokenizer
from tiny_stores import save_model

SETTINGS = {"pooling": ["last"], "bos": "auto", "long": "cut", "batch_tokens": 40}
ALL = {**SETTINGS, "pooling": ["last", "mean", "max", "concept"]}
HOOKS = ("resid_pre.1", "mlp_out.0", "resid_post.2")
RNG = np.random.default_rng(0)
RAW = [" ".join(f"w{i}" for i in RNG.integers(5, 59, n)) for n in RNG.integers(2, 9, 40)]
TEXTS = [f"w3 w4 {raw} w60 w59" for raw in RAW]


def publish(root, texts=TEXTS, raw=RAW):
    concepts = [one.split()[:1] for one in raw]
    return publish_labelled(root / "labelled.json", labelled(texts, raw=raw, concepts=concepts))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    return {
        "model": save_model(make_model("gpt_neox"), root / "model" / "model.json"),
        "tokenizer": publish_words(root),
        "labelled": publish(root / "texts"),
    }


def run(made, place, settings=SETTINGS, hooks=HOOKS):
    return measure_at_hooks("states", place, hooks, settings, **made)


def alone(model, text):
    """Return what each block of a model gives for a text by itself, by forward hooks of torch."""
    found = []
    handles = [
        block.register_forward_hook(
            lambda m, a, out: found.append(out[0] if isinstance(out, tuple) else out)
        )
        for block in model.gpt_neox.layers
    ]
    with torch.no_grad():
        model(torch.tensor([make_tokenizer()(text, add_special_tokens=False)["input_ids"]]))
    for handle in handles:
        handle.remove()
    return [one[0].numpy() for one in found]


def test_states_are_those_of_each_text_alone(made, tmp_path):
    tasks, model = run(made, tmp_path, ALL), make_model("gpt_neox")
    before, after = (open_states(tasks[hook].output) for hook in ("resid_pre.1", "resid_post.2"))
    for number, text in enumerate(TEXTS):
        blocks, own = alone(model, text), before.examples == number
        places = before.positions[own]
        np.testing.assert_allclose(before.x[own], blocks[0][places], atol=1e-5)
        np.testing.assert_allclose(after.x[own], blocks[2][places], atol=1e-5)
        n = len(text.split())
        assert places.tolist() == [*range(2, n - 2), n - 1]  # the raw text, and the last token
        assert before.in_text[own].tolist() == [True] * (n - 4) + [False]
        assert np.flatnonzero(before.in_concept[own])[0] == 0
        assert np.flatnonzero(before.last[own]).tolist() == [n - 4]


def test_only_last_tokens_are_kept_where_no_pooling_reads_others(made, tmp_path):
    few = open_states(run(made, tmp_path / "few")["mlp_out.0"].output)
    many = open_states(run(made, tmp_path / "many", ALL)["mlp_out.0"].output)
    assert few.x.shape == (len(TEXTS), 16) and few.last.all()
    np.testing.assert_array_equal(few.pooled("last"), many.pooled("last"))
    np.testing.assert_array_equal(few.x, few.pooled("last"))


def test_records_say_what_was_read(made, tmp_path):
    facts = read_json(run(made, tmp_path)["resid_pre.1"].output)
    n_tokens = sum(len(text.split()) for text in TEXTS)
    expected = {"hook": "resid_pre.1", "d_in": 16, "n_examples": 40, "n_rows": 40, "n_cut": 0}
    expected |= {"n_tokens": n_tokens, "n_without_text": 0, "n_without_concept": 0, "bos": False}
    assert expected.items() <= facts.items()


def test_together_and_alone_give_the_same_bytes(made, tmp_path):
    together = run(made, tmp_path / "together", ALL)
    for hook in HOOKS:
        one = run(made, tmp_path / hook, ALL, [hook])[hook]
        assert hash_tree(one.work.final) == hash_tree(together[hook].work.final)


@pytest.mark.parametrize("family", ["gpt_neox", "gpt2", "llama"])
def test_padding_on_either_side_changes_no_state(family, tmp_path):
    """Ours pads on the right; the post padded on the left, to the longest text of its batch."""
    model = make_model(family)
    given = {"model": save_model(model, tmp_path / "model" / "model.json")}
    given["tokenizer"] = publish_words(tmp_path)
    short = publish(tmp_path / "short", TEXTS[:5], RAW[:5])
    long = [*TEXTS[:5], " ".join(["w9"] * 31)]
    longer = publish(tmp_path / "long", long, [*RAW[:5], "w9"])
    found = []
    for n, record in ((1, short), (9999, longer)):
        how, place = {**SETTINGS, "batch_tokens": n}, tmp_path / f"{n}"
        tasks = run({**given, "labelled": record}, place, how, ["resid_post.1"])
        found.append(open_states(tasks["resid_post.1"].output).x)
    one, other = found
    np.testing.assert_allclose(one, other[:5], atol=1e-5)
    tokenizer = make_tokenizer()
    tokenizer.padding_side = "left"
    batch = tokenizer(long, padding=True, return_tensors="pt")
    with torch.no_grad():
        arguments = forward_arguments(model, batch["attention_mask"])
        states = model(batch["input_ids"], output_hidden_states=True, **arguments).hidden_states
    np.testing.assert_allclose(one, states[2][:5, -1].numpy(), atol=1e-5)
    assert not np.allclose(one, states[2][:5, -2].numpy(), atol=1e-2)


def test_the_last_blocks_states_come_before_the_final_norm(made, tmp_path):
    x = open_states(run(made, tmp_path, ALL)["resid_post.2"].output).x
    model = make_model("gpt_neox")
    ids = make_tokenizer()(TEXTS[0], return_tensors="pt")["input_ids"]
    last_entry = model(ids, output_hidden_states=True).hidden_states[-1][0, -1]
    own = len(TEXTS[0].split()) - 4  # the first text's last row: of its tokens four are template
    assert not torch.allclose(torch.tensor(x[own]), last_entry, atol=1e-2)
    normed = model.gpt_neox.final_layer_norm(torch.tensor(x[own]))
    torch.testing.assert_close(normed, last_entry, atol=1e-5, rtol=0)


def test_a_hook_that_the_model_lacks_and_one_of_no_numbers_fail_alone(made, tmp_path):
    broken = make_model("gpt_neox")
    broken.gpt_neox.layers[1].mlp.dense_4h_to_h.bias[3] = float("inf")
    record = save_model(broken, tmp_path / "broken" / "model.json")
    hooks = ("resid_pre.1", "resid_post.1", "resid_post.9", "mlp_out.0")
    tasks = run({**made, "model": record}, tmp_path / "on", hooks=hooks)
    assert isinstance(tasks["resid_post.1"].error, ModelError)
    assert isinstance(tasks["resid_post.9"].error, ModelError)
    assert tasks["resid_pre.1"].finished and tasks["mlp_out.0"].finished
    assert not tasks["resid_post.1"].finished


def test_texts_that_are_cut_are_counted_and_end_as_they_do(made, tmp_path):
    long = " ".join(f"w{3 + i % 50}" for i in range(60))
    record = publish(tmp_path, [long, "w5 w6"], [long, "w5"])
    task = run({**made, "labelled": record}, tmp_path / "on")["resid_post.2"]
    assert read_json(task.output)["n_cut"] == 1
    end = " ".join(long.split()[-32:])
    expected = alone(make_model("gpt_neox"), end)[2][-1]
    np.testing.assert_allclose(open_states(task.output).x[0], expected, atol=1e-5)


def test_all_texts_are_refused_where_one_is_too_long_and_that_is_asked(made, tmp_path):
    record = publish(tmp_path, [" ".join(["w5"] * 60), "w5 w6"], ["w5", "w5"])
    tasks = run({**made, "labelled": record}, tmp_path / "on", {**SETTINGS, "long": "refuse"})
    assert all("longer than the model's context" in str(t.error) for t in tasks.values())


@pytest.mark.parametrize("settings", [SETTINGS, ALL])
def test_a_killed_pass_goes_on_where_it_was_and_ends_with_the_same_bytes(
    made, tmp_path, monkeypatch, settings
):
    monkeypatch.setattr("saeflow.measures.text_batches._WINDOW_BATCHES", 2)
    whole = run(made, tmp_path / "whole", settings)
    commit, calls = StateWriter.commit, []

    def dying(writer, n_done):
        calls.append(n_done)
        if len(calls) == 8:
            raise KeyboardInterrupt
        commit(writer, n_done)

    monkeypatch.setattr(StateWriter, "commit", dying)
    with pytest.raises(KeyboardInterrupt):
        run(made, tmp_path / "killed", settings)
    monkeypatch.setattr(StateWriter, "commit", commit)
    ran = counted(monkeypatch)
    tasks = run(made, tmp_path / "killed", settings)
    again = len(ran)
    run(made, tmp_path / "count", settings)
    assert 0 < again < len(ran) - again
    for hook in HOOKS:
        assert hash_tree(tasks[hook].work.final) == hash_tree(whole[hook].work.final)


def counted(monkeypatch):
    """Return a list that gets longer by each forward pass from now on."""
    ran, run_until = [], state_pass.run_until
    monkeypatch.setattr(state_pass, "run_until", lambda *args: (ran.append(1), run_until(*args))[1])
    return ran


def test_a_full_disk_loses_nothing(made, tmp_path, monkeypatch):
    monkeypatch.setattr("saeflow.measures.text_batches._WINDOW_BATCHES", 2)
    whole = run(made, tmp_path / "whole")
    fsync, calls = os.fsync, []

    def full(descriptor):
        calls.append(1)
        if len(calls) == 30:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        run(made, tmp_path / "full")
    monkeypatch.setattr(os, "fsync", fsync)
    tasks = run(made, tmp_path / "full")
    for hook in HOOKS:
        assert hash_tree(tasks[hook].work.final) == hash_tree(whole[hook].work.final)


def test_several_texts_of_one_pass_do_not_mix(made, tmp_path):
    other = publish(tmp_path / "other", TEXTS[:3], RAW[:3])
    each = {"mlp_out.0": {"labelled": other}}
    tasks = measure_at_hooks("states", tmp_path / "on", HOOKS, SETTINGS, each=each, **made)
    assert open_states(tasks["mlp_out.0"].output).n_examples == 3
    assert open_states(tasks["resid_pre.1"].output).n_examples == len(TEXTS)


@pytest.mark.slow
def test_real_reviews_end_in_their_space(real_data, tmp_path):
    """The post's prompt, in a tokenizer with a dummy space before every text."""
    from transformers import AutoTokenizer

    from saeflow.measures.text_tokens import tokenize_labelled

    tokenizer = AutoTokenizer.from_pretrained(real_data / "stories260K")
    text = 'Consider if following review is positive or negative:\n"Fine."\nThe review is '
    found = tokenize_labelled(tokenizer, labelled([text], raw=["Fine."]), max_positions=512)
    assert found.facts["bos"] and found.ids[0] == 1
    assert tokenizer.backend_tokenizer.id_to_token(int(found.ids[found.last[0]])) == "▁"
    assert tokenizer.decode(found.ids[found.in_text].tolist()) == "Fine."
