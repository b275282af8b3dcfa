import pytest
import torch

from damage import rewrite
from saeflow.activations.archive import archive
from saeflow.activations.layout import ARRAY
from saeflow.activations.reader import open_store
from saeflow.labelled.prepare import prepare_labelled
from saeflow.prompts.prepare import prepare_prompts
from saeflow.tokenizers import vocabulary_sha256
from saeflow.work import hold
from tiny_models import make_tokenizer
from tiny_stores import make_store

LENGTHS = {"train": [40] * 15, "validation": [], "test": [25] * 4}


@pytest.fixture
def record(tmp_path):
    place = tmp_path / "results/activations/pythia/stories/ctx-40"
    place.mkdir(parents=True)
    x = torch.full((700, 16), 2.0)
    return make_store(place, x, LENGTHS, dtype="float16")


def test_a_store_is_described_in_words(record, done):
    printed = done("info", record)
    for words in (
        "resid_post.0",
        "700 of width 16, float16 (16 bits)",
        "train: 600 in 15 sequences",
        "test: 100 in 4 sequences",
        "2.71% of the rows",  # 19 BOS of 700
        "mean norm 8, rms 2 a value",  # the norm of 16 twos
        "3, mapped",
        "stories, packed as ctx-40",
        "row 300",  # 7 sequences of 40 before the middle one
        "values 2, 2, 2, 2",
        "complete",
        "row table",
    ):
        assert words in printed, words
    assert printed.index("train: 600") < printed.index("test: 100")  # as they lie in the store


def test_a_row_is_shown_with_its_text_where_the_tokenizer_is_among_the_results(
    record, tmp_path, saeflow
):
    tokenizer = make_tokenizer()
    vocabulary = vocabulary_sha256(tokenizer)
    path = open_store(record).path
    for file in (record, path / "manifest.json"):
        rewrite(file, tokenizer=vocabulary)
    assert ">" not in saeflow("info", record)[1]
    place = tmp_path / "results/tokenizers/words/tokenizer.json"
    with hold(place, "t" * 64) as work:
        tokenizer.save_pretrained(work.path)
        work.finish({"vocabulary_sha256": vocabulary})
        work.publish()
    expected = open_store(record).text(tokenizer).context(300)
    assert f"{expected.before!r} >{expected.token!r}<" in saeflow("info", record)[1]


def test_an_unfinished_store_tells_how_much_is_committed(record, saeflow):
    path = open_store(record).path
    (path / "manifest.json").unlink()
    (path / ARRAY / "c" / "1" / "0").unlink()
    partial = path.with_name(path.name + ".partial")
    path.rename(partial)
    printed = saeflow("info", partial)[1]
    assert "(unfinished)" in printed
    assert "2 of 3 shards, 444 of 700 rows (63%)" in printed


def test_a_store_that_lost_something_says_what(record, done):
    (open_store(record).path / ARRAY / "c" / "1" / "0").unlink()
    printed = done("info", record)
    assert "c/1/0: missing" in printed
    assert "1 file lost" in printed


@pytest.mark.parametrize(("codec", "words"), [("zstd", "nothing lost"), ("int8", "int8 (8 bits)")])
def test_an_archive_says_what_it_was_made_of(record, tmp_path, codec, words, saeflow):
    archive(open_store(record), tmp_path / "a.zarr", codec)
    printed = saeflow("info", tmp_path / "a.zarr")[1]
    assert f"{codec} of a float16 store" in printed
    assert words in printed
    assert "read slowly" in printed


def test_token_stores_are_described_too(record, saeflow):
    printed = saeflow("info", record.parent / "tokens" / "tokens.json")
    assert printed[0] == 0
    assert "train: 600 in 15 sequences" in printed[1]
    assert "at most 40 tokens" in printed[1]


def test_the_row_that_is_shown_is_of_the_first_split_that_has_any(tmp_path, done):
    x = torch.full((100, 16), 2.0)
    record = make_store(tmp_path, x, {"train": [], "validation": [], "test": [25] * 4})
    printed = done("info", record)
    assert "row 62 " in printed  # 12 of the third of four sequences


def test_labelled_texts_and_their_tasks_are_counted(tmp_path, done):
    record = tmp_path / "results/labelled/mine/labelled.json"
    world = {"generate": "sentiment", "world": {"seed": 0, "n_prompts": 40}}
    with hold(record, "l" * 64) as work:
        prepare_labelled(work, {"name": "mine", "examples": None, "seed": 0, **world})
    printed = done("info", record)
    assert "240: 160 train, 40 test, 40 shift" in printed
    assert "6 of 1 dataset" in printed


def test_prompts_are_counted(tmp_path, done):
    record = tmp_path / "results/prompts/ioi/prompts.json"
    with hold(record, "p" * 64) as work:
        prepare_prompts(work, {"generate": "ioi", "n_prompts": 40, "window": None})
    printed = done("info", record)
    assert "40, choice" in printed
    assert " 2, chance 0.500" in printed
