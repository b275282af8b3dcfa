"""`saeflow compare` and `saeflow export` on SAEs of ours and of others."""

from __future__ import annotations

import pandas as pd
import pytest
import safetensors.torch
import torch

from foreign_files import D_IN, D_SAE, json_file, random, weights
from sae_reference import random_weights
from saeflow.cli.main import main
from saeflow.files import write_json
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.describe import best_cosines
from saeflow.sae.saved.load import load_sae
from saeflow.sae.saved.save import header_of, save
from saeflow.work import hold

RECONSTRUCTION_SUMS = (
    "tokens", "active", "activation", "squared_error", "squared_deviation", "squared_norm",
    "squared_norm_hat", "inner", "directed", "norm_ratio", "cosine",
)  # fmt: skip
DENSITY = torch.arange(D_SAE).double() / 100


def published(root, *, k=3, seed=0, measured=False):
    """Put an SAE's record and bulk in place and return the record."""
    w = random_weights(D_IN, D_SAE, seed=seed, dtype=torch.float32)
    settings = architecture_settings("topk", {"k": k})
    header = {"hook": "resid_post.2", "model": {"name": "toy"}, "seed": seed}
    with hold(root / "sae.json", "i" * 64) as work:
        save(SAE("topk", settings, w, header), work.path, random(50, D_IN, seed=7))
        work.finish(header_of(work.path))
        work.publish()
    if measured:
        with hold(root / "on/texts/ctx-64/reconstruction.json", "r" * 64) as work:
            table = pd.DataFrame({"latent": range(D_SAE), "fired": (DENSITY * 200).numpy()})
            table.to_parquet(work.path / "latents.parquet")
            sums = dict.fromkeys(RECONSTRUCTION_SUMS, 1.0)
            sums |= {"squared_error": 1.0 + 4 * seed, "squared_deviation": 4.0}
            documents = pd.DataFrame([sums | {"document": 0}, sums | {"document": 1}])
            documents.to_parquet(work.path / "documents.parquet")
            work.finish({"n_tokens": 200, "d_in": D_IN})
            work.publish()
    return root / "sae.json"


def theirs(path):
    path.mkdir()
    torch.save({"bias": weights()["b_dec"], "encoder.weight": weights()["W_enc"].T,
                "encoder.bias": weights()["b_enc"], "decoder.weight": weights()["W_dec"].T},
               path / "ae.pt")  # fmt: skip
    json_file(path / "config.json", {"trainer": {"dict_class": "AutoEncoder"}})
    return path


def test_two_saes_are_printed_side_by_side(tmp_path, capsys):
    a = published(tmp_path / "a", measured=True)
    b = published(tmp_path / "b", k=5, seed=1, measured=True)
    assert main(["compare", str(a), str(b.parent)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["k", "3", "5"] in lines and ["seed", "0", "1"] in lines
    assert ["fvu", "0.25", "1.25"] in lines
    cosine = f"{float(best_cosines(load_sae(a).W_dec, load_sae(b).W_dec).mean()):.3f}"
    assert ["[1]", "1.000", cosine] in lines
    assert any(line[:4] == ["the", "same", "in", "all:"] for line in lines)


def test_the_same_settings_are_printed_when_asked_for(tmp_path, capsys):
    a, b = published(tmp_path / "a"), published(tmp_path / "b", seed=1)
    main(["compare", str(a), str(b), "--all"])
    assert ["architecture", "topk", "topk"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]


def test_an_sae_of_others_is_compared_with_one_of_ours(tmp_path, capsys):
    a = published(tmp_path / "a")
    assert main(["compare", str(a), str(theirs(tmp_path / "theirs"))]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["architecture", "topk", "relu"] in lines
    assert ["read_as", "-", "dictionary_learning"] in lines


def test_best_cosines_find_permuted_rows_and_ignore_their_size():
    rows = random(30, 6, seed=0)
    others = rows[torch.randperm(30, generator=torch.Generator().manual_seed(0))] * 3
    torch.testing.assert_close(best_cosines(rows, others), torch.ones(30))
    by_hand = best_cosines(torch.tensor([[1.0, 0], [0, 2]]), torch.tensor([[1.0, 1], [-1, 0]]))
    torch.testing.assert_close(by_hand, torch.tensor([0.5**0.5, 0.5**0.5]))


@pytest.mark.parametrize("measured", [True, False])
def test_an_export_for_saelens_keeps_evidence_and_has_the_measured_density(measured, tmp_path):
    record = published(tmp_path / "a", measured=measured)
    assert main(["export", str(record), str(tmp_path / "out"), "--to", "saelens"]) == 0
    found, sae = load_sae(tmp_path / "out"), load_sae(record)
    assert found.metadata["evidence"] == sae.metadata["evidence"]
    assert torch.equal(found.W_dec, sae.W_dec)
    sparsity = safetensors.torch.load_file(tmp_path / "out/sparsity.safetensors")["sparsity"]
    if measured:
        torch.testing.assert_close(10 ** sparsity.double(), DENSITY + 1e-10, rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["dictionary_learning", "sparsify"])
def test_an_export_reads_back_as_the_same_sae(name, tmp_path, capsys):
    record = published(tmp_path / "a")
    assert main(["export", str(record), str(tmp_path / "out"), "--format", name]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    x = random(20, D_IN, seed=3)
    torch.testing.assert_close(load_sae(tmp_path / "out")(x), load_sae(record)(x))


def test_an_export_for_the_hub_has_a_model_card(tmp_path, capsys):
    record = published(tmp_path / "a", measured=True)
    assert main(["export", str(record), str(tmp_path / "out"), "--to", "hub"]) == 0
    card = (tmp_path / "out/README.md").read_text()
    assert "# A sparse autoencoder of toy at resid_post.2" in card
    assert "| k | 3 |" in card and "| texts/ctx-64 | fvu | 0.25 |" in card
    assert "hf upload" in capsys.readouterr().out


def test_what_a_format_cannot_express_is_refused(tmp_path, capsys):
    path = theirs(tmp_path / "theirs")
    assert main(["export", str(path), str(tmp_path / "out"), "--to", "sparsify"]) == 1
    assert "top-k rules alone" in capsys.readouterr().err


def test_a_full_destination_and_a_missing_sae_are_refused(tmp_path, capsys):
    record = published(tmp_path / "a")
    write_json(tmp_path / "out/x.json", {})
    assert main(["export", str(record), str(tmp_path / "out"), "--to", "saelens"]) == 1
    assert "not empty" in capsys.readouterr().err
    assert main(["compare", str(tmp_path / "nothing")]) == 1
    assert "no such file" in capsys.readouterr().err
