import numpy as np
import pandas as pd
import torch

from saeflow.measures.ablations.feature_facts import Occurrences
from saeflow.measures.ablations.feature_texts import contexts, described
from saeflow.measures.answers.lines import Question
from saeflow.sae.sparse.codes import extract
from tiny_models import make_tokenizer

IDS = np.array([0, 10, 11, 12, 13, 14])  # a BOS, then w10 to w14


def seen(values):
    found = Occurrences(np.array([0]))
    codes = extract(torch.tensor(values, dtype=torch.float)[:, None], 0.0)
    found.add(7, np.arange(1, 6), IDS[1:], codes)
    return found


def told(values, window):
    questions = [None] * 7 + [Question(IDS, IDS == 0, (20,))]
    shown = pd.DataFrame({"latent": [0], "prompt": [7]})
    return contexts(seen(values), shown, questions, make_tokenizer(), window).iloc[0]


def test_the_strongest_token_of_the_end_is_told_with_what_precedes_it():
    row = told([9.0, 0.0, 3.0, 2.0, 0.0], window=3)
    assert (row["before"], row["token"], row["activation"]) == ("w10 w11", " w12", 3.0)
    row = told([9.0, 0.0, 3.0, 2.0, 0.0], window=100)
    assert (row["before"], row["token"], row["activation"]) == ("", "w10", 9.0)  # without the BOS


def test_of_equal_tokens_the_first_is_told():
    assert told([0.0, 1.0, 0.0, 1.0, 0.0], window=5)["token"] == " w11"


def test_features_are_described_by_tokens_of_the_tokenizer():
    effects = np.zeros((2, 64))  # three more than the tokenizer has
    effects[0, [5, 8]] = [3.0, 2.0]
    effects[0, [9, 62]] = [-4.0, 100.0]
    purity = pd.DataFrame({"token": [5, -1], "token_purity": [0.75, np.nan], "seen": [4, 0]},
                          index=pd.Index([3, 6], name="latent"))  # fmt: skip
    found = described(np.array([3, 6]), purity, effects, make_tokenizer())
    assert found["latent"].tolist() == [3, 6]
    assert found["top_token"].tolist() == ["w5", ""]
    assert found["raised"][0].split()[:2] == ["w5", "w8"]
    assert found["lowered"][0].split()[0] == "w9"
    assert found["token_purity"][0] == 0.75 and np.isnan(found["logit_kurtosis"][1])
    centred = effects[0, :61] - effects[0, :61].mean()
    kurtosis = (centred**4).mean() / (centred**2).mean() ** 2 - 3
    np.testing.assert_allclose(found["logit_kurtosis"][0], kurtosis)
