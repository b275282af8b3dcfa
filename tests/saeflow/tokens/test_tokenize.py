import logging

import numpy as np
import pandas as pd
import pytest
import zarr
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from saeflow.config.sources import Packing
from saeflow.errors import ConfigError, DamagedError, DataError
from saeflow.files import hash_tree, read_json
from saeflow.tokenizers import describe_tokenizer
from saeflow.tokens import packing
from saeflow.tokens.flags import BOS, EOS, SPECIAL
from saeflow.tokens.store import open_tokens
from saeflow.tokens.tokenize import tokenize_dataset
from saeflow.work import hold

WORDS = ["<s>", "</s>", "<unk>", "<extra>", *(f"w{i}" for i in range(40))]
SETTINGS = {
    "mode": "pack",
    "context_length": 8,
    "bos": "auto",
    "separator": "eos",
    "tokens": {},
    "seed": 0,
}


def make_tokenizer(path, *, adds_bos=True, **special):
    """Save a word-level tokenizer as a finished record."""
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"} | special
    raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if adds_bos:
        raw.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 0)]
        )
    special = {name: value for name, value in special.items() if value}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, extra_special_tokens=["<extra>"], **special
    )
    with hold(path, "tokenizer") as work:
        tokenizer.save_pretrained(work.path)
        work.finish(describe_tokenizer(tokenizer))
        work.publish()
    return path


def make_dataset(path, texts, splits=None):
    """Save texts as a finished record."""
    splits = splits or ["train"] * len(texts)
    with hold(path, "dataset") as work:
        frame = pd.DataFrame({"document": range(len(texts)), "text": texts, "split": splits})
        frame.to_parquet(work.path / "documents.parquet")
        work.finish({})
        work.publish()
    return path


@pytest.fixture
def make(tmp_path):
    """Tokenize texts; return the open store."""
    counter = iter(range(100))

    def tokenize(texts, splits=None, tokenizer=None, **changes):
        place = tmp_path / str(next(counter))
        tokenizer = tokenizer or make_tokenizer(place / "tokenizer.json")
        dataset = make_dataset(place / "dataset.json", texts, splits)
        with hold(place / "tokens.json", "tokens", ".zarr") as work:
            tokenize_dataset(work, dataset, tokenizer, {**SETTINGS, **changes})
            work.publish()
        return open_tokens(place / "tokens.json")

    return tokenize


def sentence(seed, n):
    return " ".join(f"w{i}" for i in np.random.default_rng(seed).integers(0, 40, n))


TEXTS = [sentence(i, 3 + i % 11) for i in range(60)]
SPLITS = [("train", "train", "train", "validation", "test")[i % 5] for i in range(60)]


def ids(text):
    return [WORDS.index(word) for word in text.split()]


def test_each_document_is_found_again_by_its_number_and_positions(make):
    store = make(TEXTS, SPLITS, mode="document", context_length=32)
    assert store.n_sequences == 60
    assert sorted(store.document[store.sequence_offsets[:-1]].tolist()) == list(range(60))
    for index in range(60):
        start, end = store.sequence_offsets[index : index + 2]
        number = store.document[start]
        assert store.sequence(index).tolist() == [0, *ids(TEXTS[number])]
        assert (store.document[start:end] == number).all()
        assert store.position[start:end].tolist() == list(range(end - start))
        assert store.document_position[start:end].tolist() == [0, *range(end - start - 1)]
        assert store.flags[start:end].tolist() == [BOS] + [0] * (end - start - 1)


@pytest.mark.parametrize("block", [1, 20, 1 << 20])
@pytest.mark.parametrize("mode", ["pack", "document"])
def test_counts_are_those_of_the_store_however_much_the_dataset_has(make, monkeypatch, block, mode):
    monkeypatch.setattr(packing, "_BLOCK_TOKENS", block)
    limits = {"train": 64, "validation": 24}
    store = make(TEXTS, SPLITS, mode=mode, tokens=limits)
    counts = store.record["n_documents"]
    for split in ("train", "validation", "test"):
        first, end = store.token_range(split)
        assert counts[split] == len(set(store.document[first:end].tolist())) > 1
        assert store.record["n_tokens"][split] == end - first
    assert counts["train"] < 36 / 2 and counts["validation"] < 12


def test_a_document_of_which_a_part_is_stored_counts(make):
    """Ten tokens a document with its EOS, a BOS and seven of them a sequence: 14 of two."""
    store = make([sentence(i, 9) for i in range(5)], tokens={"train": 16})
    assert store.record["n_documents"] == {"train": 2, "validation": 0, "test": 0}


def test_splits_follow_one_another_and_never_share_a_document(make):
    store = make(TEXTS, SPLITS)
    documents = {}
    for split in ("train", "validation", "test"):
        a, b = store.token_range(split)
        first, last = store.sequence_range(split)
        assert (store.sequence_offsets[first], store.sequence_offsets[last]) == (a, b)
        documents[split] = set(store.document[a:b].tolist())
        assert {SPLITS[d] for d in documents[split]} == {split}
    assert store.token_range("train")[0] == 0
    assert store.token_range("test")[1] == store.n_tokens
    with pytest.raises(DataError, match="no such split"):
        store.token_range("dev")


def test_the_documents_order_is_shuffled_by_the_seed(make):
    first, again, other = (make(TEXTS, seed=s, mode="document") for s in (0, 0, 1))
    orders = [s.document[s.sequence_offsets[:-1]] for s in (first, again, other)]
    assert orders[0].tolist() == orders[1].tolist() != orders[2].tolist()
    assert hash_tree(first.path) == hash_tree(again.path)


def test_the_stored_order_is_the_declared_permutation_and_far_from_the_documents_own(make):
    n = 600
    splits = ["train", "train", "test"] * (n // 3)
    store = make([sentence(i, 3) for i in range(n)], splits, seed=7, mode="document")
    order = store.document[store.sequence_offsets[:-1]]
    for number, split in enumerate(("train", "validation", "test")):
        own = np.flatnonzero(np.array(splits) == split)
        declared = own[np.random.default_rng([7, number]).permutation(len(own))]
        found = order[slice(*store.sequence_range(split))]
        assert found.tolist() == declared.tolist()
        if len(own):
            # of two independent orders it has mean 0 and standard deviation 1 / sqrt(n - 1)
            rank_correlation = np.corrcoef(found.argsort().argsort(), np.arange(len(own)))[0, 1]
            assert abs(rank_correlation) < 3 / np.sqrt(len(own) - 1)


def test_packing_keeps_every_token_but_the_counted_remainder(make):
    store = make(TEXTS, bos=False)
    n_text = sum(len(text.split()) for text in TEXTS)
    record = store.record
    assert (np.diff(store.sequence_offsets) == 8).all()
    kept = int((store.flags == 0).sum())
    assert kept + record["n_dropped_tokens"]["train"] == n_text
    assert record["n_dropped_tokens"]["train"] < 8
    assert set(store.flags.tolist()) == {0, EOS}
    assert record["n_tokens"] == {"train": store.n_tokens, "validation": 0, "test": 0}


def test_one_document_a_sequence_counts_what_is_cut_off(make):
    texts = [sentence(0, 10), sentence(1, 7), sentence(2, 3)]
    record = make(texts, mode="document", context_length=8).record
    assert record["n_dropped_tokens"]["train"] == 3
    assert record["n_truncated_documents"]["train"] == 1
    assert record["n_tokens"]["train"] == 8 + 8 + 4


@pytest.mark.parametrize(
    ("bos", "adds_bos", "begins"),
    [("auto", True, True), ("auto", False, False), (True, False, True), (False, True, False)],
)
def test_bos_is_added_as_asked_or_as_the_tokenizer_does(make, tmp_path, bos, adds_bos, begins):
    tokenizer = make_tokenizer(tmp_path / "t" / "tokenizer.json", adds_bos=adds_bos)
    store = make(TEXTS, tokenizer=tokenizer, bos=bos)
    assert ((store.token_id == 0).sum() == store.n_sequences) == begins
    assert (store.token_id[store.sequence_offsets[:-1]] == 0).all() == begins
    assert store.record["bos"] == begins


def test_text_that_brings_its_own_bos_has_exactly_one_or_is_refused(make):
    templated = [f"<s> {text}" for text in TEXTS]
    with pytest.raises(DataError, match="two BOS"):
        make(templated, mode="document")
    store = make(templated, mode="document", bos=False)
    assert (store.token_id == 0).sum() == 60
    assert (store.flags[store.sequence_offsets[:-1]] == BOS).all()


def test_a_separator_that_is_also_the_bos_never_doubles_it(make, tmp_path):
    tokenizer = make_tokenizer(tmp_path / "t" / "tokenizer.json", eos_token="<s>")
    store = make(TEXTS, tokenizer=tokenizer, bos=True, context_length=4)
    is_bos = store.token_id.reshape(-1, 4) == 0
    assert is_bos[:, 0].all()
    assert not (is_bos[:, 1:] & is_bos[:, :-1]).any()
    assert set(store.flags.tolist()) == {0, BOS | EOS}


@pytest.mark.parametrize(
    ("lacks", "asked", "remedy"),
    [
        ({"eos_token": None}, {}, {"separator": "none"}),
        ({"bos_token": None}, {"bos": True}, {"bos": "auto"}),
        ({"bos_token": None}, {"bos": True}, {"bos": False}),
    ],
)
def test_what_a_tokenizer_lacks_is_refused_with_a_remedy_that_works(
    make, tmp_path, lacks, asked, remedy
):
    tokenizer = make_tokenizer(tmp_path / "t.json", adds_bos=False, **lacks)
    with pytest.raises(ConfigError, match="the tokenizer has none") as refused:
        make(["w1 w2 w3 w4 w5 w6 w7 w8 w9"], tokenizer=tokenizer, **asked)
    (key,) = remedy
    assert f"the packing's {key} to " in refused.value.remedy
    assert str(remedy[key]).lower() in refused.value.remedy
    Packing.read({"context_length": 8, **remedy}, where="packings")  # it may be given
    make(["w1 w2 w3 w4 w5 w6 w7 w8 w9"], tokenizer=tokenizer, **{**asked, **remedy})


def test_special_tokens_within_a_text_are_flagged(make):
    store = make(["w1 <extra> w2 unknown w3"], mode="document")
    assert store.flags.tolist() == [BOS, 0, SPECIAL, 0, SPECIAL, 0]


def test_a_separator_made_of_words_is_flagged_and_the_same_words_in_text_are_not(make):
    store = make(["w9 w1", "w9 w2"], separator="w9 w9", bos=False)
    assert [WORDS[i] for i in store.token_id][2:4] == ["w9", "w9"]
    assert store.flags.tolist() == [0, 0, EOS, EOS, 0, 0, EOS, EOS]


def test_too_few_tokens_says_how_many_there_are(make):
    with pytest.raises(DataError, match=r"too few tokens: 20.*2,000.*tokens\.train"):
        make([sentence(0, 20)], tokens={"train": 2_000}, bos=False, separator="none")
    with pytest.raises(DataError, match="too few tokens: 20"):
        make([sentence(0, 20)], tokens={"train": 24}, bos=False, separator="none")
    with pytest.raises(DataError, match="test split has too few tokens: 0"):
        make(TEXTS, tokens={"test": 8})
    with pytest.raises(DataError, match="too few tokens: 9"):
        make([sentence(0, 4), sentence(1, 3)], mode="document", tokens={"train": 10})


def test_a_limit_is_met_in_whole_sequences(make):
    record = make(TEXTS, SPLITS, tokens={"train": 50, "validation": 16, "test": None}).record
    assert record["n_tokens"]["train"] == 48
    assert record["n_tokens"]["validation"] == 16
    assert make(TEXTS, SPLITS, tokens={"test": 0}).record["n_sequences"]["test"] == 0


def test_text_that_fills_no_sequence_is_an_error(make):
    with pytest.raises(DataError, match="too few tokens for a single sequence.*3 tokens"):
        make([sentence(0, 3)], context_length=64)


def test_empty_documents_are_counted_and_left_out_with_a_word(make, caplog):
    with caplog.at_level(logging.WARNING):
        store = make(["w1 w2", "", None, "  \n ", "w3"], mode="document")
    assert "3 of 5 documents have no text" in caplog.text
    assert store.record["n_empty_documents"] == 3
    assert sorted(set(store.document.tolist())) == [0, 4]


def test_a_dataset_without_any_text_is_an_error(make):
    with pytest.raises(DataError, match="no text"):
        make(["", " "])


def test_a_sample_is_decoded_in_log_and_record(make, caplog):
    with caplog.at_level(logging.INFO):
        store = make(["w7 w8 w9"], mode="document")
    assert store.record["sample"] == "<s> w7 w8 w9"
    assert "<s> w7 w8 w9" in caplog.text


def test_the_record_names_the_tokenizer_by_its_vocabulary(make, tmp_path):
    tokenizer = make_tokenizer(tmp_path / "t" / "tokenizer.json")
    record = make(TEXTS, tokenizer=tokenizer).record
    facts = read_json(tokenizer)
    assert record["tokenizer"]["vocabulary_sha256"] == facts["vocabulary_sha256"]
    assert record["tokenizer"]["special_ids"] == [0, 1, 2, 3]
    assert record["max_token_id"] == max(max(ids(text)) for text in TEXTS)


@pytest.mark.parametrize(("changes", "special"), [({"bos": True}, "bos"), ({"bos": False}, "eos")])
def test_a_special_token_that_the_tokenizer_lacks_is_an_error(make, tmp_path, changes, special):
    tokenizer = make_tokenizer(
        tmp_path / "t" / "tokenizer.json", adds_bos=False, **{f"{special}_token": None}
    )
    with pytest.raises(ConfigError, match=special.upper()):
        make(TEXTS, tokenizer=tokenizer, **changes)


def test_two_packings_of_a_dataset_lie_side_by_side(tmp_path):
    tokenizer = make_tokenizer(tmp_path / "tokenizer.json")
    dataset = make_dataset(tmp_path / "dataset.json", TEXTS)
    for context_length in (8, 16):
        with hold(tmp_path / f"ctx{context_length}" / "tokens.json", "t", ".zarr") as work:
            settings = {**SETTINGS, "context_length": context_length}
            tokenize_dataset(work, dataset, tokenizer, settings)
            work.publish()
    short, long = (open_tokens(tmp_path / f"ctx{n}" / "tokens.json") for n in (8, 16))
    assert (len(short.sequence(0)), len(long.sequence(0))) == (8, 16)


def test_a_killed_run_leaves_nothing_behind(make, tmp_path):
    tokenizer = make_tokenizer(tmp_path / "tokenizer.json")
    dataset = make_dataset(tmp_path / "dataset.json", TEXTS)
    with hold(tmp_path / "tokens.json", "t", ".zarr") as work:
        (work.path / "token_id").mkdir(parents=True)
        (work.path / "token_id" / "zarr.json").write_text("torn")
        (work.path / "scratch").mkdir()
        tokenize_dataset(work, dataset, tokenizer, SETTINGS)
        work.publish()
    store = open_tokens(tmp_path / "tokens.json")
    assert not (store.path / "scratch").exists()
    assert hash_tree(store.path / "token_id") == hash_tree(make(TEXTS).path / "token_id")


def test_zarr_reads_the_columns_and_a_lost_one_is_refused(make):
    store = make(TEXTS)
    group = zarr.open_group(str(store.path), mode="r")
    for name in ("token_id", "document", "position", "document_position", "flags"):
        assert np.array_equal(group[name][:], getattr(store, name))
    assert np.array_equal(group["sequence_offsets"][:], store.sequence_offsets)
    (store.path / "position" / "c" / "0").unlink()
    with pytest.raises(DamagedError, match="position/c/0"):
        open_tokens(store.path.parent / "tokens.json")


def test_the_real_stories_come_back_as_they_were(make, real_data, tmp_path):
    """BOS and story, as the model was trained: the text decodes to itself."""
    from saeflow.models.load import load_tokenizer
    from saeflow.tokenizers import publish_tokenizer

    with hold(tmp_path / "real" / "tokenizer.json", "t") as work:
        publish_tokenizer(work, real_data / "stories260K")
        work.publish()
    texts = pd.read_json(real_data / "text" / "tinystories_cased.jsonl", lines=True)["text"][:40]
    record = tmp_path / "real" / "tokenizer.json"
    store = make(list(texts), tokenizer=record, mode="document", context_length=512)
    tokenizer = load_tokenizer(record)
    for index in range(40):
        row = store.sequence(index)
        number = int(store.document[store.sequence_offsets[index]])
        assert row[0] == tokenizer.bos_token_id
        text = tokenizer.decode(row[1:].tolist())
        assert texts[number].startswith(text) if len(row) == 512 else text == texts[number]
