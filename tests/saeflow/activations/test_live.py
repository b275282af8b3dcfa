import numpy as np
import pytest
import torch

from saeflow.activations import forward, live
from saeflow.activations.archive import archive
from saeflow.activations.calibration import sample_of
from saeflow.activations.forward import Window
from saeflow.activations.loader import Loader
from saeflow.activations.mixing import predict
from saeflow.activations.reader import open_store
from saeflow.cli.described import describe
from saeflow.errors import DamagedError, StoreError
from saeflow.files import read_json
from saeflow.tokens.flags import excluded
from saeflow.work import bulk_of
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_tokens, save_model

HOOKS = ["resid_post.1", "attn_out.0"]


@pytest.fixture(scope="module", params=["float16", "bfloat16", "float32"])
def pair(request, model_record, tokens, tmp_path_factory):
    """The same activations in a store and live."""
    place = tmp_path_factory.mktemp("pair")
    stored = harvest_hooks(place / "stored", HOOKS, model_record, tokens, dtype=request.param)
    options = {"dtype": request.param, "live": True}
    lives = harvest_hooks(place / "live", HOOKS, model_record, tokens, **options)
    return stored[HOOKS[0]], lives[HOOKS[0]]


@pytest.fixture
def counted(monkeypatch):
    """Tokens of each forward pass."""
    found = []
    original = forward.compute

    def counting(model, dtypes, tokens, window):
        found.append(window.end - window.start)
        return original(model, dtypes, tokens, window)

    monkeypatch.setattr(live, "compute", counting)
    return found


def test_every_row_has_the_bits_that_a_store_holds(pair):
    store, alive = map(open_store, pair)
    assert type(alive.activations) is live.LiveActivations and alive.activations.mapped is None
    assert alive.activations.shape == store.activations.shape
    assert alive.activations.chunk_rows == store.activations.chunk_rows
    assert np.array_equal(alive.activations.raw(slice(None)), store.activations.raw(slice(None)))
    assert torch.equal(
        alive.activations.tensor(slice(3, 400)), store.activations.tensor(slice(3, 400))
    )


@pytest.mark.parametrize(
    "where",
    [slice(90, 300), slice(1, 400, 7), slice(5, 5), slice(-9, None), np.array([7, 399, 7, 0, 120]),
     [3, 1], np.array([-1, 5]), np.array([], dtype=np.int64), 17],
)  # fmt: skip
def test_rows_are_indexed_as_those_of_a_store(pair, where):
    store, alive = map(open_store, pair)
    assert np.array_equal(alive.activations[where], store.activations[where])
    assert alive.activations[where].dtype == store.activations[where].dtype


def test_a_mask_chooses_rows_and_one_beyond_the_end_is_refused(pair):
    store, alive = map(open_store, pair)
    mask = store.rows.position == 3
    assert np.array_equal(alive.activations[mask], store.activations[mask])
    with pytest.raises(IndexError):
        alive.activations[[len(alive.activations)]]


@pytest.mark.parametrize(
    ("window_rows", "part"), [(64, None), (300, None), (1 << 20, None), (300, "2/2")]
)
def test_batches_are_bit_for_bit_those_of_the_store(pair, window_rows, part):
    def batches(record, start=None):
        with open_store(record) as store:
            mixed = Loader(
                store,
                "train",
                batch_size=50,
                seed=4,
                window_rows=window_rows,
                epochs=2 if part is None else 4,
                start=start,
                part=part,
            )
            return [batch.clone() for batch in mixed], mixed.state()

    expected, _ = batches(pair[0])
    found, state = batches(pair[1])
    assert len(found) == len(expected) > 20
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    rest, _ = batches(pair[1], start={**state, "batches": 7})
    assert all(torch.equal(a, b) for a, b in zip(rest, expected[7:], strict=True))


def test_each_token_goes_through_the_model_once_where_a_window_holds_the_split(pair, counted):
    with open_store(pair[1]) as alive:
        first, end = alive.ranges("train")
        for _ in Loader(alive, "train", batch_size=64, seed=0):
            pass
        assert end - first <= sum(counted) == alive.activations.n_computed <= end - first + 400


def test_reading_in_order_takes_each_token_once(pair, counted):
    with open_store(pair[1]) as alive:
        for start in range(0, alive.n_rows, 64):
            alive.activations.tensor(slice(start, start + 64))
        assert sum(counted) == alive.n_rows


@pytest.mark.parametrize("window_rows", [256, 600, 1 << 20])
def test_the_passes_that_are_announced_are_those_that_are_made(pair, counted, window_rows):
    """Up to the few windows that are still at hand from one window of chunks to the next."""
    with open_store(pair[1]) as alive:
        mixed = Loader(alive, "train", batch_size=64, seed=0, window_rows=window_rows)
        for _ in mixed:
            pass
        announced = predict(mixed.order, 64)
        kept = 4 * max(counted) * (-(-mixed.n_rows // window_rows) - 1)
        tokens = round(announced.passes * mixed.n_rows)
        assert tokens - kept <= sum(counted) <= tokens
        assert "times an epoch" in str(announced)
        if window_rows == 1 << 20:
            assert 1 <= announced.passes < 1.2  # special tokens are computed, not given
        else:
            assert 1 < announced.passes < 5


def test_the_row_table_and_the_record_are_those_of_a_store(pair):
    store, alive = map(open_store, pair)
    assert np.array_equal(alive.rows.token_id, store.rows.token_id)
    assert alive.ranges("test") == store.ranges("test")
    same = ("hook", "model", "tokenizer", "tokens", "context_length", "d_model", "n_rows", "dtype")
    same += ("token_ranges", "sequence_ranges", "n_included_rows", "rows")
    assert {n: alive.record[n] for n in same} == {n: store.record[n] for n in same}
    assert alive.verify() > 0


def test_statistics_of_a_sample_that_is_everything_are_those_of_the_store(pair):
    store, alive = map(open_store, pair)
    assert alive.record["live"]["sample"]["rows"] == store.record["n_included_rows"]
    np.testing.assert_allclose(alive.mean, store.mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(alive.std, store.std, rtol=1e-4)
    assert alive.record["rms"] == pytest.approx(store.record["rms"], rel=1e-5)
    assert alive.record["mean_norm"] == pytest.approx(store.record["mean_norm"], rel=1e-5)


def test_a_small_sample_is_told_and_taken_from_all_over_the_dataset(
    model_record, equal, tmp_path, monkeypatch
):
    monkeypatch.setattr("saeflow.activations.calibration.SAMPLE_TOKENS", 200)
    (record,) = harvest_hooks(tmp_path, ["resid_post.1"], model_record, equal, live=True).values()
    with open_store(record) as alive:
        assert alive.record["live"]["sample"] == {"rows": 6 * 31, "windows": 2}
        every = list(forward.windows(alive.activations._tokens, 100))
        chosen = sample_of(every, 200)
        assert [every.index(w) for w in chosen] == [3, 11]
        rows = np.concatenate([np.arange(w.start, w.end) for w in chosen])
        rows = rows[~excluded(alive.rows.flags[rows])]
        x = alive.activations.tensor(rows).double()
        np.testing.assert_allclose(alive.mean, x.mean(0), rtol=1e-4, atol=1e-6)
        assert alive.record["rms"] == pytest.approx(float(x.square().mean().sqrt()), rel=1e-5)


@pytest.mark.parametrize(
    ("n_windows", "n_tokens", "expected"),
    [(10, 20, [2, 7]), (10, 1, [5]), (3, 1000, [0, 1, 2]), (4, 20, [1, 3])],
)
def test_samples_lie_at_equal_distances(n_windows, n_tokens, expected):
    every = [Window(10 * i, 10 * i + 10, []) for i in range(n_windows)]
    assert [every.index(w) for w in sample_of(every, n_tokens)] == expected


def test_a_value_that_the_dtype_cannot_hold_is_refused_when_it_is_described(
    tokens, tmp_path_factory
):
    huge = make_model("gpt_neox")
    with torch.no_grad():
        huge.gpt_neox.embed_in.weight.mul_(1e8)
    record = save_model(huge, tmp_path_factory.mktemp("huge") / "model.json")
    place = tmp_path_factory.mktemp("place")
    with pytest.raises(StoreError, match=r"resid_pre.0, row 0: .*not a finite float16.*bfloat16"):
        harvest_hooks(place, ["resid_pre.0"], record, tokens, dtype="float16", live=True)


def test_a_value_beyond_the_sample_is_refused_when_it_is_read(pair, monkeypatch):
    with open_store(pair[1]) as alive:
        original = forward.compute

        def infinite(*args):
            ((hook, x),) = original(*args).items()
            x[1, 2] = torch.inf
            return {hook: x}

        monkeypatch.setattr(live, "compute", infinite)
        with pytest.raises(StoreError, match="row 1"):
            alive.activations.tensor(slice(0, 10))


@pytest.mark.parametrize("name", ["model", "tokens"])
def test_a_model_or_tokens_that_are_gone_or_others_are_told(name, tmp_path):
    tokens = make_tokens(tmp_path / "tokens", {"train": [32] * 44})
    model = save_model(make_model("gpt_neox"), tmp_path / "model" / "model.json")
    (record,) = harvest_hooks(tmp_path / "a", ["mlp_out.0"], model, tokens, live=True).values()
    source = {"model": model, "tokens": tokens}[name]
    manifest = bulk_of(source) / "manifest.json"
    assert str(tmp_path) not in record.read_text()
    content = manifest.read_text()
    manifest.write_text(content.replace(read_json(manifest)["identity"], "another"))
    with pytest.raises(DamagedError, match=f"the {name} that these live"):
        open_store(record)
    manifest.unlink()
    with pytest.raises(DamagedError, match=f"the {name} that these live"):
        open_store(record)
    manifest.write_text(content)
    assert open_store(record).n_rows == 32 * 44


def test_the_model_is_loaded_once_for_all_that_read_it(pair, monkeypatch):
    from saeflow.models import load

    load._loaded.cache_clear()
    found = []
    original = load.load_directory
    monkeypatch.setattr(
        load, "load_directory", lambda *a, **o: found.append(a) or original(*a, **o)
    )
    for _ in range(3):
        with open_store(pair[1]) as alive:
            assert len(found) == (_ > 0)
            alive.activations.tensor(slice(0, 5))
    assert len(found) == 1


def test_what_live_reading_cost_is_told_at_the_end(pair, caplog):
    with caplog.at_level("INFO"), open_store(pair[1]) as alive:
        alive.activations.tensor(slice(0, 5))
    (line,) = [
        r.getMessage() for r in caplog.records if "through the model so far" in r.getMessage()
    ]
    assert line.startswith("resid_post.1 live: ") and f"{alive.n_rows:,}" in line


def test_it_is_described_as_live_without_computing_anything(pair, counted):
    with open_store(pair[1]) as alive:
        lines = dict(describe(alive.path))
    assert "nothing is stored" in lines["live"] and "shards" not in lines
    assert "shards" in dict(describe(open_store(pair[0]).path))
    assert counted == []


def test_there_is_nothing_to_archive(pair, tmp_path):
    with (
        open_store(pair[1]) as alive,
        pytest.raises(StoreError, match="of which nothing is stored"),
    ):
        archive(alive, tmp_path / "archive", "zstd")
    assert not (tmp_path / "archive").exists()


def test_the_tokens_of_ranges_are_those_of_the_windows_they_touch(pair):
    with open_store(pair[1]) as alive:
        first, second, third = list(forward.windows(alive.activations._tokens, 100))[:3]
        sizes = [window.end - window.start for window in (first, second, third)]

        def tokens(*ranges):
            return alive.activations.tokens_for(*np.array(ranges).T)

        assert tokens((0, 1)) == tokens((0, first.end)) == sizes[0]
        assert tokens((second.start, second.start + 1)) == sizes[1]
        assert tokens((second.start - 1, second.start + 1)) == sizes[0] + sizes[1]
        assert tokens((2, 3), (5, 9), (third.end - 1, third.end)) == sizes[0] + sizes[2]
