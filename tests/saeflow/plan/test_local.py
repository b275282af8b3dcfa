"""Which local files count, and whether a job reads those that it was planned with."""

import json
import os
import shutil

import pytest

from saeflow.errors import ConfigError, ModelError, StaleError
from saeflow.plan import local
from saeflow.plan.local import CACHE, HASH, Unchanged, hash_of, local_files

BESIDE = (
    ".DS_Store",
    ".git/index",
    ".cache/huggingface/download/model.safetensors.metadata",
    "README.md",
    "trainer_state.json",
    "training_args.bin",
    "optimizer.pt",
    "runs/events.out",
)
"""What git, systems, downloads and trainings leave in a directory."""

_ROWS = ("a.jsonl", "b.ndjson.gz", "deep/c.jsonl")
KINDS = {
    **dict.fromkeys(("fetch_dataset", "fetch_prompts", "fetch_labelled"), _ROWS),
    "fetch_model": ("config.json", "model.safetensors", "tokenizer.json", "vocab.json"),
    "import_saes": ("cfg.json", "sae_weights.safetensors"),
}
ENTRIES = {"import_saes": {"format": "auto"}}
MORE = {"fetch_model": "merges.txt", "import_saes": "ae.pt"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hashed(monkeypatch):
    """The files whose content was read."""
    seen, read = [], local.sha256_file

    def count(path):
        seen.append(path.name)
        return read(path)

    monkeypatch.setattr(local, "sha256_file", count)
    return seen


def put(directory, names):
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")


def sha(rule, path, **settings):
    return hash_of(local_files(rule, str(path), ENTRIES.get(rule, {}) | settings, where="the key"))


# -- what counts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", KINDS)
def test_only_what_is_read_of_a_directory_counts(here, rule, hashed):
    put(here / "one", KINDS[rule])
    before = sha(rule, "one")
    assert len(hashed) == len(KINDS[rule])
    put(here / "one", BESIDE)
    assert sha(rule, "one") == before
    assert len(hashed) == len(KINDS[rule])  # and nothing else is read
    for name in KINDS[rule]:
        file = here / "one" / name
        file.write_text("changed")
        assert sha(rule, "one") != before, name
        file.write_text(f"content of {name}")
    assert sha(rule, "one") == before


@pytest.mark.parametrize("rule", KINDS)
def test_a_file_more_that_is_read_counts(here, rule):
    put(here / "one", KINDS[rule])
    before = sha(rule, "one")
    put(here / "one", [MORE.get(rule, "d.jsonl")])
    assert sha(rule, "one") != before


@pytest.mark.parametrize("rule", KINDS)
def test_where_a_directory_lies_does_not_count(here, rule, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    put(here / "one", KINDS[rule])
    before = sha(rule, "one")
    (here / "one").rename(here / "another")
    assert sha(rule, "another") == sha(rule, "~/another") == sha(rule, here / "another") == before


def test_of_weights_in_two_formats_one_counts_and_code_where_it_is_run(here):
    put(here / "m", [*KINDS["fetch_model"], "pytorch_model.bin", "modeling_own.py"])
    before, trusted = sha("fetch_model", "m"), sha("fetch_model", "m", trust_remote_code=True)
    assert before != trusted
    (here / "m/pytorch_model.bin").write_text("other")
    assert sha("fetch_model", "m") == before
    (here / "m/modeling_own.py").write_text("other")
    assert sha("fetch_model", "m") == before
    assert sha("fetch_model", "m", trust_remote_code=True) != trusted


def test_of_a_named_format_only_its_files_count(here):
    put(here / "s", [*KINDS["import_saes"], "ae.pt"])
    before = sha("import_saes", "s", format="saelens")
    (here / "s/ae.pt").write_text("other")
    assert sha("import_saes", "s", format="saelens") == before != sha("import_saes", "s")


def test_what_is_missing_is_refused_with_its_key(here):
    put(here / "empty", ["README.md"])
    for rule in KINDS:
        with pytest.raises(ConfigError, match="the key: there is no such file"):
            sha(rule, "none")
        with pytest.raises((ConfigError, ModelError), match="README.md"):
            sha(rule, "empty")


# -- the cache -------------------------------------------------------------------------------------


def of(path):
    return hash_of({"": path})


def test_an_unchanged_file_is_read_once(here, hashed):
    put(here, ["a.txt"])
    assert of(here / "a.txt") == of(here / "a.txt")
    assert hashed == ["a.txt"]


def test_a_change_that_keeps_size_and_modification_time_is_noticed(here):
    """As `rsync --times` or `cp --preserve` of another file leave it."""
    path = here / "a.txt"
    path.write_text("one")
    status = path.stat()
    before = of(path)
    while path.stat().st_ctime_ns == status.st_ctime_ns:  # the kernel's clock ticks
        path.write_text("two")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert of(path) != before


def test_a_touched_file_is_read_again_and_has_the_same_hash(here, hashed):
    path = here / "a.txt"
    path.write_text("one")
    before = of(path)
    os.utime(path, (1, 1))
    assert of(path) == before
    assert hashed == ["a.txt", "a.txt"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}', '{"PATH": 1}', '{"PATH": []}'])
def test_a_damaged_cache_is_made_anew(here, text):
    put(here, ["a.txt"])
    whole = of(here / "a.txt")
    CACHE.write_text(text.replace("PATH", str(here / "a.txt")))
    assert of(here / "a.txt") == whole
    assert str(here / "a.txt") in json.loads(CACHE.read_text())


def test_a_cache_that_cannot_be_written_is_done_without(here, monkeypatch):
    def refuse(*_):
        raise PermissionError("read-only")

    put(here, ["a.txt"])
    whole = of(here / "a.txt")
    shutil.rmtree(CACHE.parent)
    monkeypatch.setattr(local, "write_json", refuse)
    assert of(here / "a.txt") == whole


# -- between planning and reading ------------------------------------------------------------------


def planned(rule, path):
    settings = {**ENTRIES.get(rule, {}), HASH: sha(rule, path)}
    return {"settings": settings, "arguments": {"path": str(path)}}


@pytest.mark.parametrize("rule", KINDS)
def test_files_that_stay_may_be_read(here, rule, hashed):
    put(here / "one", KINDS[rule])
    result = planned(rule, "one")
    n = len(hashed)
    look = Unchanged(rule, result)
    put(here / "one", BESIDE)
    look.check()
    assert len(hashed) == n  # gigabytes are not read again


@pytest.mark.parametrize("rule", KINDS)
def test_files_that_changed_since_the_plan_are_not_read(here, rule):
    put(here / "one", KINDS[rule])
    result = planned(rule, "one")
    (here / "one" / KINDS[rule][0]).write_text("other")
    with pytest.raises(StaleError, match="one: a local file changed since.*snakemake again"):
        Unchanged(rule, result)


@pytest.mark.parametrize("rule", KINDS)
def test_files_that_change_while_they_are_read_are_noticed(here, rule):
    put(here / "one", KINDS[rule])
    put(here / "old", KINDS[rule])
    result = planned(rule, "one")
    name = KINDS[rule][0]

    def swap(_):  # and back again, with the old times
        shutil.move(here / "one" / name, here / "kept")
        put(here / "one", [name])
        shutil.move(here / "kept", here / "one" / name)

    for change in (
        swap,
        lambda file: file.write_text("other"),
        lambda file: file.unlink(),
        lambda _: put(here / "one", [MORE.get(rule, "d.jsonl")]),
    ):
        shutil.rmtree(here / "one")
        shutil.copytree(here / "old", here / "one")
        look = Unchanged(rule, result)
        change(here / "one" / name)
        with pytest.raises((StaleError, ModelError), match=r"while it was read|weights|one"):
            look.check()
