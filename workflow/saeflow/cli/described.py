"""What is in data, in a person's words: lines of a name and a text.

`describe` knows stores of activations and tokens, archives, and unfinished stores; of other data
it says what can be said of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saeflow.cli.bulk import FINISHED, REMOVED, UNFINISHED, commits, n_bytes, state
from saeflow.cli.words import count, size
from saeflow.errors import SaeflowError
from saeflow.files import read_json
from saeflow.inventory import MANIFEST, lost_files
from saeflow.work import RELEASED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from saeflow.activations.reader import Store

Line = tuple[str, str]
_SHOWN = 8
_BITS = {"float16": 16, "bfloat16": 16, "float32": 32, "int8": 8}


def describe(bulk: Path) -> Iterator[Line]:
    """Yield lines about one directory of bulk."""
    if state(bulk) == UNFINISHED:
        yield from _unfinished(bulk)
        return
    if state(bulk) == REMOVED:
        yield "state", "temporary, and removed after its last reader"
        yield from _kind(read_json(bulk / RELEASED))
        return
    lost = list(lost_files(bulk))
    for damage in lost[:3]:
        yield "damaged", f"{damage.path}: {damage.what}"
    if lost:
        yield "state", f"{count(len(lost), 'file')} lost: run the workflow, it redoes only that"
    if not (bulk / MANIFEST).is_file():
        return
    facts = read_json(bulk / MANIFEST)
    yield from _kind(facts)
    if "live" in facts:
        yield "live", "nothing is stored: whatever reads these activations computes them"
    elif not lost and "d_model" in facts and "token_ranges" in facts:
        yield from _store(bulk)
    yield "on disk", size(n_bytes(bulk))
    if not lost:
        yield "state", "complete; `saeflow verify` compares every byte"


def _kind(facts: Mapping[str, Any]) -> Iterator[Line]:
    """Yield what the manifest itself says."""
    if "hook" in facts and "model" in facts:
        model = facts["model"]
        yield "activations", f"{facts['hook']} of {model['name']} ({model['architecture']})"
    elif "hook" in facts:
        yield "activations", facts["hook"]
    if "kind" in facts and "n_prompts" in facts:
        yield "prompts", f"{facts['n_prompts']:,}, {facts['kind'].replace('_', ' ')}"
    if "n_tasks" in facts and "n_examples" in facts:
        sets = ", ".join(f"{facts[f'n_{name}']:,} {name}" for name in ("train", "test", "shift"))
        yield "labelled texts", f"{facts['n_examples']:,}: {sets}"
        yield "tasks", f"{facts['n_tasks']:,} of {count(len(facts['datasets']), 'dataset')}"
        for name, why in list(facts["left_out"].items())[:_SHOWN]:
            yield "left out", f"{name}: {why}"
    if among := facts.get("n_candidates"):
        several = "" if among["min"] == among["max"] else f" to {among['max']}"
        yield "candidates", f"{among['min']}{several}, chance {facts['chance']:.3f}"
    if made := facts.get("archive"):
        lost = "nothing lost" if made["lossless"] else f"error {made['nmse']:.1e} of the variance"
        yield "archive", f"{made['codec']} of a {made['of_dtype']} store, {lost}"
    if str(facts.get("format", "")).startswith("saeflow-rows"):
        yield "row table", "token, document, position and flags of each row of the stores beside it"
    if "dtype" in facts and "n_rows" in facts:
        d, n = facts["d_model"], facts["n_rows"]
        yield "rows", f"{n:,} of width {d:,}, {facts['dtype']} ({_BITS[facts['dtype']]} bits)"
    ranges = facts.get("token_ranges", {})
    for split, (start, end) in sorted(ranges.items(), key=lambda item: item[1]):
        sequences = facts.get("sequence_ranges", {}).get(split)
        words = f" in {sequences[1] - sequences[0]:,} sequences" if sequences else ""
        yield "tokens", f"{split}: {end - start:,}{words}"
    if "context_length" in facts:
        yield "context", f"sequences of at most {count(facts['context_length'], 'token')}"
    if "n_included_rows" in facts:
        left_out = 1 - facts["n_included_rows"] / max(facts["n_rows"], 1)
        yield "left out", f"{left_out:.2%} of the rows: special tokens, which no SAE sees"
        yield "size of rows", f"mean norm {facts['mean_norm']:.4g}, rms {facts['rms']:.4g} a value"
    if "sample" in facts:
        yield "begins", repr(facts["sample"])


def _store(bulk: Path) -> Iterator[Line]:
    """Yield what is known of a store only once it is open."""
    from saeflow.activations.reader import open_store

    with open_store(bulk) as store:
        files = [p for p in (bulk / "activations" / "c").rglob("*") if p.is_file()]
        how = "mapped" if store.activations.mapped is not None else "read slowly, through zarr"
        yield "shards", f"{len(files):,}, {how}"
        place = bulk.resolve().parts
        if len(place) > 5 and place[-5] == "activations":
            yield "dataset", f"{place[-3]}, packed as {place[-2]}"
        yield from _example(store, bulk)


def _example(store: Store, bulk: Path) -> Iterator[Line]:
    row = _example_row(store)
    tokenizer = find_tokenizer(bulk, store.record.get("tokenizer"))
    text = store.text(tokenizer)
    facts = text.facts(row)
    place = f"token {facts.position} of its sequence, document {facts.document}"
    yield f"row {row:,}", f"token id {facts.token_id}, {place}"
    if tokenizer is not None:
        context = text.context(row)
        yield "", f"{context.before!r} >{context.token!r}< {context.after!r}"
    values = ", ".join(f"{value:.3g}" for value in store.activations[row][:4])
    yield "", f"values {values}, ..."


def _example_row(store: Store) -> int:
    """Return a row in the middle of a document in the middle of the training split."""
    splits = ("train", *store.record["sequence_ranges"])
    first, end = next(ab for ab in map(store.sequence_range, splits) if ab[0] < ab[1])
    sequence = (first + end) // 2
    start, end = store.rows.read("sequence_offsets", sequence, sequence + 2).tolist()
    documents = store.rows.read("document", start, end)
    rows = (documents == documents[len(documents) // 2]).nonzero()[0]
    return start + int(rows[len(rows) // 2])


def _unfinished(bulk: Path) -> Iterator[Line]:
    """Yield what is committed of an unfinished store."""
    from saeflow.activations.layout import read_layout

    array = bulk / "activations"
    if not (array / "zarr.json").is_file():
        yield "state", "unfinished; a run of the workflow goes on with it"
        return
    attributes = read_json(bulk / "zarr.json").get("attributes", {})
    layout, _ = read_layout(array)
    done = [c for c in commits(bulk) if (bulk / c["file"]).is_file()]
    rows = sum(c["rows"][1] - c["rows"][0] for c in done)
    facts = {**attributes, "n_rows": layout.n_rows, "d_model": layout.d_model}
    yield from _kind({**facts, "dtype": layout.dtype})
    share = f"{len(done)} of {layout.n_shards} shards, {rows:,} of {layout.n_rows:,} rows"
    yield "committed", f"{share} ({rows / max(layout.n_rows, 1):.0%})"
    yield "on disk", size(n_bytes(bulk))
    yield "state", "unfinished; a run of the workflow goes on after what is committed"


def find_tokenizer(bulk: Path, vocabulary: str | None) -> PreTrainedTokenizerBase | None:
    """Return the tokenizer with this hash of its vocabulary among the results above, or None."""
    from saeflow.tokenizers import has_tokenizer, tokenizer_from_directory
    from saeflow.work import bulk_of

    if vocabulary is None:
        return None
    for root in bulk.resolve().parents:
        records = [*root.glob("tokenizers/*/tokenizer.json"), *root.glob("models/*/model.json")]
        for record in sorted(records):
            try:
                facts = read_json(record)
                own = facts.get("vocabulary_sha256", facts.get("tokenizer"))
                if own == vocabulary and has_tokenizer(bulk_of(record)):
                    return tokenizer_from_directory(bulk_of(record))
            except (SaeflowError, OSError):
                continue  # it is only for show
    return None


def heading(bulk: Path) -> str:
    """Return the path, and a word where the data are not finished."""
    word = state(bulk)
    return str(bulk) if word == FINISHED else f"{bulk} ({word})"
