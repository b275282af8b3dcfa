"""Labelled texts as tokens: which are of the text or the concept, BOS, and what does not fit."""

import numpy as np
import pytest
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from labelled_by_hand import labelled
from saeflow.errors import ConfigError, DataError
from saeflow.measures.text_tokens import tokenize_labelled
from saeflow.world.tokenizer import word_tokenizer
from tiny_models import make_tokenizer

POST = 'Consider if following review is positive or negative:\n"{}"\nThe review is '
SPACED = POST.replace('"', " ")
RAW = "Not  so good — naïve 😀 ending."


def trained(model, trainer, texts, normalizer=None, pre=None, post=None):
    inner = Tokenizer(model)
    inner.normalizer, inner.pre_tokenizer, inner.post_processor = normalizer, pre, post
    inner.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def byte_level(trim_offsets):
    """Return a tokenizer as GPT-2's, or as GPT-NeoX's, which leaves spaces out of what it tells."""
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<unk>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    post = processors.ByteLevel(trim_offsets=trim_offsets)
    pre = pre_tokenizers.ByteLevel(add_prefix_space=False)
    texts = [POST.format("so good " * 5)] * 9
    made = trained(models.BPE(), trainer, texts, pre=pre, post=post)
    made.backend_tokenizer.decoder = decoders.ByteLevel()
    return made


def sentence_piece():
    """Return a tokenizer as Llama's: a space before every text, bytes for what it does not know."""
    alphabet = [f"<0x{i:02X}>" for i in range(256)]
    special = ["<unk>", "<s>", "</s>", *alphabet]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    spaces = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    made = trained(
        models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True),
        trainer,
        ["▁Not", "▁so", "▁good", "▁The", "▁review", "▁is", "▁positive", "▁or", '"', "\n"] * 9,
        normalizers.Sequence(spaces),
        None,
        processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)]),
    )
    spoken = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.backend_tokenizer.decoder = decoders.Sequence(spoken)
    return made


def read(texts, tokenizer=None, max_positions=None, *, bos="auto", long="cut", **of_texts):
    """Return texts as tokens, of words by default."""
    return tokenize_labelled(
        tokenizer or make_tokenizer(), labelled(texts, **of_texts), max_positions=max_positions,
        bos=bos, long=long,
    )  # fmt: skip


KINDS = {
    "gpt2": lambda: byte_level(trim_offsets=False),
    "gpt_neox": lambda: byte_level(trim_offsets=True),
    "llama": sentence_piece,
    "world": lambda: word_tokenizer([SPACED.format(RAW)], where=None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_text_and_concept_are_those_of_their_words(kind):
    tokenizer = KINDS[kind]()
    text = (SPACED if kind == "world" else POST).format(RAW)
    found = read([text], tokenizer, raw=[RAW], concepts=[["good"]])
    of_text, of_concept, rest = (
        tokenizer.decode(found.ids[which].tolist())
        for which in (found.in_text, found.in_concept, found.ordinary & ~found.in_text)
    )
    assert of_text.split() == RAW.split() and of_concept.strip() == "good"
    assert "".join(rest.split()) == "".join(text.replace(RAW, "").split())
    assert not (found.in_concept & ~found.in_text).any()


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "llama"])
def test_the_space_at_the_end_is_a_token_and_the_last_one(kind):
    tokenizer = KINDS[kind]()
    text = POST.format("so good")
    found = read([text, text.rstrip()], tokenizer, raw=["so good"] * 2)
    with_space, without = found.lengths
    assert with_space == without + 1
    last = [tokenizer.backend_tokenizer.id_to_token(int(one)) for one in found.ids[found.last]]
    assert last[0] in ("Ġ", "▁") and last[1].endswith("s")
    assert not found.in_text[found.last].any()
    whole = read(["so good "], tokenizer)
    assert whole.in_text[whole.last].all()  # a space of the raw text is of it


def test_a_word_before_a_span_is_not_of_it_though_its_space_is():
    tokenizer = KINDS["gpt2"]()
    found = read(["so good so"], tokenizer, raw=[" good "], concepts=[[" good "]])
    assert tokenizer.decode(found.ids[found.in_text].tolist()) == " good"
    np.testing.assert_array_equal(found.in_concept, found.in_text)


def test_an_unknown_concept_is_nowhere():
    found = read(["w3 w4", "w5"], max_positions=32, concepts=[None, []])
    assert found.in_text.all() and not found.in_concept.any()


def test_there_is_one_bos_whatever_the_text_brings():
    tokenizer = KINDS["llama"]()
    found = read(["so good", "<s>so good", "<s> so good"], tokenizer)
    assert found.facts["bos"]
    per_text = np.add.reduceat(found.ids == tokenizer.bos_token_id, found.offsets[:-1])
    assert per_text.tolist() == [1, 1, 1]
    assert (found.ids[found.offsets[:-1]] == tokenizer.bos_token_id).all()
    assert not found.ordinary[found.offsets[:-1]].any()
    assert not found.in_text[found.offsets[:-1]].any()


@pytest.mark.parametrize(("bos", "has"), [("auto", False), (False, False), (True, True)])
def test_the_setting_decides_about_the_bos(bos, has):
    found = read(["w3 w4"], max_positions=32, bos=bos)
    assert found.ids.tolist() == ([0] if has else []) + [3, 4]
    assert found.facts["bos"] is has


def test_a_bos_that_the_tokenizer_lacks_cannot_be_asked_for():
    tokenizer = make_tokenizer()
    tokenizer.bos_token = None
    with pytest.raises(ConfigError, match="none"):
        read(["w3"], tokenizer, 9, bos=True)
    assert read(["w3"], tokenizer, 9).ids.tolist() == [3]


def test_special_tokens_in_a_text_are_neither_of_it_nor_its_last():
    found = read(["w3 w4 <eos>", "w5 <pad> w6"], max_positions=32)
    assert found.ids[found.last].tolist() == [4, 6]
    assert found.ids[found.in_text].tolist() == [3, 4, 5, 6]


def test_a_text_of_special_tokens_alone_is_refused():
    with pytest.raises(DataError, match="text 1"):
        read(["w3", "<eos>"], max_positions=32)


@pytest.mark.parametrize("bos", [True, False])
def test_what_is_too_long_loses_its_beginning_but_for_the_bos(bos):
    texts = [" ".join(f"w{i}" for i in range(3, 13)), "w3"]
    found = read(texts, max_positions=6, concepts=[["w4", "w12"], None], bos=bos)
    expected = [0, 8, 9, 10, 11, 12] if bos else [7, 8, 9, 10, 11, 12]
    assert found.ids[: found.offsets[1]].tolist() == expected
    assert found.facts["n_cut"] == 1
    assert found.ids[found.in_concept].tolist() == [12]


def test_what_is_too_long_is_refused_where_that_is_asked():
    texts = ["w3 w4 w5", "w3 w4 w5 w6", "w3"]
    with pytest.raises(DataError, match=r"2 texts.*longest of 4"):
        read(texts, max_positions=2, long="refuse")
    assert read(texts, max_positions=4, long="refuse").facts


def test_unknown_tokens_are_counted():
    found = read(["good thing here", "good"], word_tokenizer(["good here"], where=None))
    assert found.facts["n_unknown"] == 1


def test_some_of_the_texts_are_as_they_would_be_alone():
    texts = ["w3 w4 w5", "w6", "w7 w8"]
    concepts = [["w4"], None, ["w8"]]
    whole, part = (
        read(
            [texts[i] for i in chosen], concepts=[concepts[i] for i in chosen], max_positions=32,
            bos=True,
        )
        for chosen in ([0, 1, 2], [2, 0])
    )  # fmt: skip
    for one, other in zip(whole.of(np.array([2, 0]))[:5], part[:5], strict=True):
        np.testing.assert_array_equal(one, other)
