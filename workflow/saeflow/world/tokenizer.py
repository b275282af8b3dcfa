"""Train the world's tokenizer: one token per word, text restored exactly.

Read `train_tokenizer` first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from saeflow.errors import DataError
from saeflow.tokenizers import describe_tokenizer
from saeflow.work import bulk_of

if TYPE_CHECKING:
    from saeflow.work import Work

END, UNKNOWN = "<eos>", "<unk>"


def train_tokenizer(work: Work, dataset_record: Path) -> None:
    """Build a tokenizer from the words of the train split and finish its work.

    Parameters
    ----------
    work
        Held, unfinished work; it gets what `AutoTokenizer.from_pretrained` reads.
    dataset_record
        ``dataset.json``.
    """
    work.restart()
    documents = bulk_of(dataset_record) / "documents.parquet"
    table = pq.read_table(documents, columns=["text"], filters=[("split", "=", "train")])
    tokenizer = word_tokenizer(table["text"].to_pylist(), where=documents)
    tokenizer.save_pretrained(work.path)
    work.finish(describe_tokenizer(tokenizer))


def word_tokenizer(texts: Iterable[str], *, where: Path) -> PreTrainedTokenizerFast:
    """Return a tokenizer whose tokens are the words of ``texts``, which white space separates.

    The end-of-document token also serves as beginning: after packing, every document follows one.
    Frequent words have low ids. Text of words joined by single spaces is restored exactly; other
    white space is not, because it separates words and is not itself a token.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text.split())
    if not counts:
        raise DataError(
            "there are no words to make a tokenizer of",
            where=where,
            expected="documents in the train split",
        )
    by_frequency = sorted(counts, key=lambda word: (-counts[word], word))
    words = [END, UNKNOWN, *(word for word in by_frequency if word not in (END, UNKNOWN))]
    tokenizer = Tokenizer(
        WordLevel({word: index for index, word in enumerate(words)}, unk_token=UNKNOWN)
    )
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )
