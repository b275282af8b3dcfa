"""Contexts are around the tokens on which a slow search finds latents most active."""

import numpy as np
import pandas as pd
import pytest

from measured import measure, publish_words, table
from saeflow.files import hash_tree
from saeflow.measures.codes import open_codes
from saeflow.measures.contexts import contexts
from saeflow.tokens.store import open_tokens
from stored_codes import stored
from tiny_stores import make_tokens

LENGTHS = {"train": [9], "validation": [], "test": [12, 7, 5, 20]}
FIRST = 9


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return make_tokens(tmp_path_factory.mktemp("tokens"), LENGTHS)


def publish(root, dense, status=None):
    """Write codes (n_tokens, d_sae) of the ordinary tokens of the test split."""
    ordinary = np.concatenate([np.arange(1, n) for n in LENGTHS["test"]])
    starts = FIRST + np.cumsum([0, *LENGTHS["test"][:-1]])
    lengths = np.array(LENGTHS["test"]) - 1
    rows = ordinary + np.repeat(starts, lengths)
    stored(root, dense, lengths, status, rows=rows, first_document=1)
    return root / "codes.json"


def slowly(codes, n):
    """Return latent, rank, row, activation and document, latent by latent in plain Python."""
    dense, found = codes.matrix().toarray(), []
    ends = np.cumsum(codes.documents["n_tokens"])
    for latent in codes.live:
        best = []
        for number, end in enumerate(ends):
            start = 0 if number == 0 else ends[number - 1]
            values = dense[start:end, latent]
            if values.max() > 0:
                token = start + int(np.flatnonzero(values == values.max())[0])
                best.append((-values.max(), number, token))
        for rank, (value, number, token) in enumerate(sorted(best)[:n]):
            document = codes.documents["document"][number]
            found.append((latent, rank, codes.rows[token], -value, document))
    return found


@pytest.mark.parametrize("n", [1, 2, 9])
def test_each_latent_has_the_tokens_of_its_largest_activations(tmp_path, n):
    rng = np.random.default_rng(1)
    dense = np.round(rng.random((40, 6)) * (rng.random((40, 6)) < 0.3), 1).astype(np.float32)
    dense[:, 2] = 0
    dense[:11, 3] = 0
    status = ["live", "rare", "live", "live", "duplicate", "live"]
    codes = open_codes(publish(tmp_path, dense, status))
    found = contexts(codes, n)
    assert list(found.itertuples(index=False, name=None)) == slowly(codes, n)
    assert set(found["latent"]) == {0, 3, 5}


def test_no_live_latent_has_no_context(tmp_path):
    codes = open_codes(publish(tmp_path, np.ones((40, 2), np.float32), ["dead", "rare"]))
    assert contexts(codes, 3).empty


def test_the_job_writes_the_words_around_each_token(tmp_path, tokens):
    dense = np.zeros((40, 3), np.float32)
    dense[0, 0], dense[13, 0], dense[39, 1] = 2.0, 3.0, 1.0
    inputs = {"tokens": tokens, "tokenizer": publish_words(tmp_path / "words")}
    settings = {"documents": 2, "before": 2, "after": 1}
    codes = {"one": publish(tmp_path / "one", dense)}
    task = measure(
        "contexts", tmp_path, {"one": tmp_path}, settings,
        each={"one": {"codes": codes["one"]}}, **inputs,
    )["one"]  # fmt: skip
    ids, names = open_tokens(tokens).token_id, ["<bos>", "<eos>", "<pad>"]
    words = names + [f"w{i}" for i in range(3, 61)]
    found = table(task, "contexts")
    for row in found.itertuples():
        whole = [words[i] for i in ids[row.row - 2 : row.row + 2]]
        text = f"{row.before}{row.token}{row.after}".split()
        at_start, at_end = row.row == FIRST + 1, row.row == FIRST + 43
        assert text == whole[1 if at_start else 0 : 3 if at_end else 4]
        assert row.token.strip() == words[ids[row.row]]
    assert found["latent"].tolist() == [0, 0, 1]
    assert found["activation"].tolist() == [3.0, 2.0, 1.0]
    assert found["document"].tolist() == [2, 1, 4]
    counts = {"n_tokens": 40, "n_documents": 4, "n_latents": 3}
    assert counts.items() <= task.work.manifest.items()


def test_two_saes_are_shown_in_one_pass_as_each_alone(tmp_path, tokens):
    rng = np.random.default_rng(1)
    inputs = {"tokens": tokens, "tokenizer": publish_words(tmp_path / "words")}
    settings = {"documents": 2, "before": 2, "after": 1}
    each = {
        name: {"codes": publish(tmp_path / name, rng.random((40, 5)).astype(np.float32))}
        for name in ("one", "other")
    }
    saes = dict.fromkeys(each, tmp_path)
    together = measure("contexts", tmp_path / "t", saes, settings, each=each, **inputs)
    for name in each:
        one, own = {name: tmp_path}, {name: each[name]}
        alone = measure("contexts", tmp_path / f"alone {name}", one, settings, each=own, **inputs)
        assert hash_tree(alone[name].work.final) == hash_tree(together[name].work.final)
    first, second = (table(task, "contexts") for task in together.values())
    assert not pd.DataFrame.equals(first, second)
