"""The measurements of SAEs as jobs: from stores and saved SAEs to sums on disk."""

import pandas as pd
import pytest
import torch

from measured import measure, measure_hooks, table, values
from saeflow.errors import DataError, SaeflowError
from saeflow.files import hash_tree, read_json
from saeflow.tokens.store import open_tokens
from saeflow.work import bulk_of
from tiny_models import make_model
from tiny_saes import make_sae, publish_sae
from tiny_stores import harvest_hooks, make_store, make_tokens, save_model

D = 16
LENGTHS = {"train": [32] * 4, "validation": [7], "test": [32, 20, 9, 32, 15]}
N_TEST = sum(LENGTHS["test"]) - len(LENGTHS["test"])  # a BOS in each


def publish(root, seed, d=D):
    return publish_sae(root, make_sae(3 * D, d, seed, hook="resid_post.1"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    model = save_model(make_model("gpt_neox"), root / "model" / "model.json")
    tokens = make_tokens(root / "tokens", LENGTHS)
    activations = harvest_hooks(root / "hooks", ["resid_post.1"], model, tokens)["resid_post.1"]
    saes = [publish(root / f"sae-{seed}", seed) for seed in (0, 1)]
    clean = measure_hooks(root, {"resid_post.1": activations}, model=model, tokens=tokens)
    assert clean["resid_post.1"].error is None
    return {
        "model": model, "tokens": tokens, "activations": activations, "saes": saes,
        "clean": clean["resid_post.1"].output,
    }  # fmt: skip


def run(made, place, name, numbers=(0, 1)):
    """Measure some SAEs together; return their tasks."""
    inputs, settings = {"activations": made["activations"]}, {}
    if name != "reconstruction":
        inputs |= {key: made[key] for key in ("model", "tokens", "clean")}
    if name == "controls":
        settings = {"tokens": 50, "seed": 0}
    saes = {f"sae-{n}": made["saes"][n] for n in numbers}
    return list(measure(name, place, saes, settings, **inputs).values())


def test_a_reconstruction_has_sums_per_document_and_per_latent(made, tmp_path):
    task, other = run(made, tmp_path, "reconstruction")
    documents, latents = table(task), table(task, "latents")
    assert documents["tokens"].tolist() == [n - 1 for n in LENGTHS["test"]]
    assert read_json(task.output) == task.work.manifest
    facts = {"n_tokens": N_TEST, "n_documents": len(documents), "d_in": D, "d_sae": 3 * D}
    assert facts.items() <= task.work.manifest.items()
    assert latents["latent"].tolist() == list(range(3 * D))
    assert latents["fired"].sum() == documents["active"].sum()
    assert latents["activation_sum"].sum() == pytest.approx(documents["activation"].sum())
    assert values(task)["fvu"] != values(other)["fvu"]


def test_language_has_the_losses_of_every_variant_per_document(made, tmp_path):
    task, other = run(made, tmp_path, "language")
    documents = table(task)
    assert documents["predictions"].tolist() == [n - 1 for n in LENGTHS["test"]]
    facts = {"n_tokens": N_TEST, "n_documents": len(documents)}
    assert facts.items() <= task.work.manifest.items()
    shared = ["document", "predictions", "ce_clean", "ce_zero", "ce_mean"]
    pd.testing.assert_frame_equal(documents[shared], table(other)[shared])
    assert list(documents) == [*shared, "ce_sae", "kl"]
    assert (documents["ce_sae"] != table(other)["ce_sae"]).all()


def test_controls_are_of_the_first_sequences_that_have_enough_tokens(made, tmp_path):
    task, other = run(made, tmp_path, "controls")
    documents = table(task)
    assert documents["predictions"].tolist() == [n - 1 for n in LENGTHS["test"][:2]]
    shared = ["document", "predictions", "ce_clean", "ce_zero", "ce_mean"]
    assert list(documents)[: len(shared)] == shared
    pd.testing.assert_frame_equal(documents[shared], table(other)[shared])
    language = table(run(made, tmp_path, "language")[0])
    for name in ("ce_clean", "ce_zero", "ce_mean", "ce_sae"):
        assert documents[name].tolist() == pytest.approx(language[name].tolist()[:2])


@pytest.mark.parametrize("name", ["language", "controls"])
def test_no_more_tokens_are_measured_than_clean_losses_were_kept_of(made, tmp_path, name):
    sources = {key: made[key] for key in ("model", "tokens")}
    clean = measure_hooks(tmp_path, {"resid_post.1": made["activations"]}, 50, **sources)
    some = {**made, "clean": clean["resid_post.1"].output}
    documents, whole = (table(run(own, tmp_path / at, name)[0])
                        for own, at in ((some, "some"), (made, "whole")))  # fmt: skip
    assert documents["predictions"].tolist() == [n - 1 for n in LENGTHS["test"][:2]]
    pd.testing.assert_frame_equal(documents, whole[:2], rtol=1e-5)


@pytest.mark.parametrize("name", ["reconstruction", "language", "controls"])
def test_together_and_alone_give_the_same_bytes(made, tmp_path, name):
    together = run(made, tmp_path / "together", name)
    for number in (0, 1):
        (alone,) = run(made, tmp_path / f"alone-{number}", name, [number])
        assert hash_tree(alone.work.final) == hash_tree(together[number].work.final)


def break_sae(made, root, how):
    """Return the record of an SAE that cannot be measured on these activations."""
    if how == "damaged":
        record = publish(root, 7)
        (bulk_of(record) / "sae_weights.safetensors").write_bytes(b"")
        return record
    return publish(root, 7, D + 1)


@pytest.mark.parametrize("name", ["reconstruction", "language", "controls"])
@pytest.mark.parametrize("how", ["damaged", "of another width"])
def test_an_sae_that_cannot_be_measured_fails_alone(made, tmp_path, name, how):
    saes = [break_sae(made, tmp_path / "bad", how), made["saes"][0]]
    bad, good = run({**made, "saes": saes}, tmp_path, name)
    assert isinstance(bad.error, SaeflowError) and not bad.finished and not bad.output.exists()
    assert good.finished and good.error is None
    (alone,) = run(made, tmp_path / "alone", name, [0])
    pd.testing.assert_frame_equal(table(good), table(alone))
    (nobody,) = run({**made, "saes": saes}, tmp_path / "nobody", name, [0])
    assert nobody.error is not None


def test_huge_special_rows_in_the_store_change_nothing(made, tmp_path):
    tokens = open_tokens(make_tokens(tmp_path / "tokens", LENGTHS))
    x = torch.randn(tokens.n_tokens, D, generator=torch.Generator().manual_seed(0))
    huge = torch.where(torch.from_numpy(tokens.flags != 0)[:, None], 1e15, x)
    found = []
    for name, rows in (("plain", x), ("huge", huge)):
        store = make_store(tmp_path / name, rows, LENGTHS)
        tasks = run({**made, "activations": store}, tmp_path / f"on-{name}", "reconstruction")
        found.append([table(task) for task in tasks])
    for plain, other in zip(*found, strict=True):
        pd.testing.assert_frame_equal(plain, other)


def test_a_store_without_a_test_split_is_an_error_of_the_whole_pass(made, tmp_path):
    lengths = {**LENGTHS, "test": []}
    n = sum(map(sum, lengths.values()))
    store = make_store(tmp_path / "store", torch.zeros(n, D), lengths)
    with pytest.raises(DataError, match="no token to measure on"):
        run({**made, "activations": store}, tmp_path / "on", "reconstruction")
    with pytest.raises(DataError, match="no token that can be predicted"):
        run({**made, "tokens": make_tokens(tmp_path / "t", lengths)}, tmp_path / "on", "language")
