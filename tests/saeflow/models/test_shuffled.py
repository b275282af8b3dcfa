"""A shuffled model: the same values in another order, and a model like any other."""

import pytest
import torch

from saeflow.files import hash_tree, read_json
from saeflow.models.fetch import fetch_model
from saeflow.models.load import load_model, load_tokenizer
from saeflow.models.shuffled import shuffle, shuffle_model
from saeflow.work import hold
from tiny_models import make_model, make_tokenizer

FAMILIES = ["gpt2", "gpt_neox", "llama"]


def shuffled(family="gpt_neox", **options):
    model = make_model(family)
    shuffle(model, **{"seed": 0, **options})
    return dict(model.named_parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_keeps_its_values_and_loses_their_order(family):
    before, after = dict(make_model(family).named_parameters()), shuffled(family)
    assert before.keys() == after.keys()
    for name, weight in before.items():
        assert not torch.equal(after[name], weight), name
        found, expected = (torch.sort(w.flatten()).values for w in (after[name], weight))
        assert torch.equal(found, expected), name


def test_no_entry_stays_with_its_row():
    # of the entries of a row of n in m rows, 1 in m is expected to come back to it
    before, after = dict(make_model("gpt2").named_parameters()), shuffled("gpt2")
    name = "transformer.wte.weight"
    row_of = {float(v): i for i, row in enumerate(before[name]) for v in row}
    same = [row_of[float(v)] == i for i, row in enumerate(after[name]) for v in row]
    assert sum(same) / len(same) < 0.1


def test_embeddings_can_stay_as_they_are():
    before = dict(make_model("gpt_neox").named_parameters())
    after = shuffled("gpt_neox", embeddings=False)
    same = {name for name, weight in before.items() if torch.equal(weight, after[name])}
    assert same == {"gpt_neox.embed_in.weight", "lm_head.weight"}


def test_tied_weights_stay_tied():
    model = make_model("gpt2")
    shuffle(model, seed=0)
    assert model.lm_head.weight is model.transformer.wte.weight


def test_seeds_differ_and_weights_of_one_shape_too():
    one, same, other = shuffled(seed=0), shuffled(seed=0), shuffled(seed=1)
    before = dict(make_model("gpt_neox").named_parameters())
    moved = []
    for name, weight in one.items():
        assert torch.equal(weight, same[name])
        assert not torch.equal(weight, other[name])
        if name.endswith("dense_h_to_4h.bias"):
            places = {float(v): i for i, v in enumerate(before[name])}
            moved.append([places[float(v)] for v in weight])
    assert moved[0] != moved[1]


def make(root, name, seed=0):
    """Return the record of a shuffled model, and of the one that it is made of."""
    source = root / "source"
    make_model("gpt2").save_pretrained(source)
    make_tokenizer().save_pretrained(source)
    real, record = root / "real" / "model.json", root / name / "model.json"
    with hold(real, "a" * 64) as work:
        fetch_model(work, {}, path=source)
        work.publish()
    with hold(record, "b" * 64) as work:
        shuffle_model(work, real, seed=seed, embeddings=True)
        work.publish()
    return record, real


def test_its_record_and_files_are_those_of_a_model_with_other_weights(tmp_path):
    record, real = make(tmp_path, "noise")
    facts, own = read_json(record), read_json(real)
    assert facts["name"] == "noise" and facts["tokenizer"] == own["tokenizer"] is not None
    same = ("architecture", "n_layers", "d_model", "vocab_size", "max_positions")
    assert [facts[name] for name in same] == [own[name] for name in same]
    assert facts["weights_sha256"] != own["weights_sha256"]
    expected = make_model("gpt2")
    shuffle(expected, seed=0)
    for name, weight in load_model(record).state_dict().items():
        assert torch.equal(weight, expected.state_dict()[name]), name
    assert load_tokenizer(record).get_vocab() == load_tokenizer(real).get_vocab()


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    found = []
    for root in ("one", "two"):
        record, _ = make(tmp_path / root, "noise")
        (bulk,) = record.parent.glob("model.*/")
        found.append(hash_tree(bulk))
    assert found[0] == found[1]
