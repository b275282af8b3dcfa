import numpy as np
import pytest

from saeflow.activations.layout import ARRAY, plan_layout
from saeflow.activations.shard import OpenShard
from saeflow.activations.writer import ShardWriter
from saeflow.errors import StoreError
from saeflow.files import hash_tree

N, D, SHARD = 1_000, 8, 256


def writer(path, dtype="float16"):
    path.mkdir(exist_ok=True)
    return ShardWriter(path, plan_layout(N, D, dtype, SHARD), "mlp_out.3", {})


def rows(dtype=np.float16):
    return np.random.default_rng(0).standard_normal((N, D)).astype(dtype)


def write(target, x, sizes, excluded=None):
    excluded = np.zeros(N, bool) if excluded is None else excluded
    start = 0
    for end in [*np.cumsum(sizes), N]:
        target.append(start, x[start:end], excluded[start:end])
        start = end
    return target.finalise()


def check_bytes(path, other, x):
    """A store has the bytes of one that is written without an interruption."""
    write(writer(other), x, [])
    assert hash_tree(path) == hash_tree(other)


def test_the_bytes_do_not_depend_on_how_the_rows_come(tmp_path):
    x, left_out = rows(), np.arange(N) % 7 == 0
    first = write(writer(tmp_path / "a"), x, [], left_out)
    second = write(writer(tmp_path / "b"), x, [1, 254, 3, 300, 7], left_out)
    assert first == second
    assert hash_tree(tmp_path / "a") == hash_tree(tmp_path / "b")


def test_what_is_committed_is_kept_and_the_rest_missing(tmp_path):
    x = rows()
    none = np.zeros(N, bool)
    torn = writer(tmp_path / "a")
    torn.append(0, x[:600], none[:600])
    assert torn.missing == {2, 3}
    again = writer(tmp_path / "a")
    assert again.missing == {2, 3}
    assert not list((tmp_path / "a").rglob("*.tmp"))
    assert not again.wants(0, 512)
    assert again.wants(500, 513)
    again.append(500, x[500:], none[500:])
    again.finalise()
    check_bytes(tmp_path / "a", tmp_path / "b", x)


@pytest.mark.parametrize("harm", ["delete", "truncate", "no record", "no sums", "other sums"])
def test_a_lost_shard_in_the_middle_is_the_only_one_redone(tmp_path, harm):
    x = rows()
    write(writer(tmp_path / "a"), x, [])
    before = hash_tree(tmp_path / "a")
    shard = tmp_path / "a" / ARRAY / "c" / "1" / "0"
    {
        "delete": shard.unlink,
        "truncate": lambda: shard.write_bytes(shard.read_bytes()[:-1]),
        "no record": (tmp_path / "a" / "_commit" / "000001.json").unlink,
        "no sums": (tmp_path / "a" / "_commit" / "000001.sums").unlink,
        "other sums": lambda: (tmp_path / "a" / "_commit" / "000001.sums").write_bytes(
            (tmp_path / "a" / "_commit" / "000000.sums").read_bytes()
        ),
    }[harm]()
    again = writer(tmp_path / "a")
    assert again.missing == {1}
    write(again, x, [100, 300])
    assert hash_tree(tmp_path / "a") == before


def test_rows_out_of_order_and_an_incomplete_store_are_refused(tmp_path):
    target, x, none = writer(tmp_path / "a"), rows(), np.zeros(N, bool)
    target.append(0, x[:10], none[:10])
    with pytest.raises(StoreError, match="expected row 10 of shard 0; got row 11"):
        target.append(11, x[11:20], none[11:20])
    target.append(10, x[10:600], none[10:600])
    with pytest.raises(StoreError, match="2 missing, the first is 2"):
        target.finalise()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_a_value_that_is_not_finite_is_refused_wherever_it_stands(tmp_path, bad):
    x = rows()
    x[777, 5] = bad
    with pytest.raises(StoreError, match=r"mlp_out\.3, shard 3.*65504.*bfloat16"):
        write(writer(tmp_path / "a"), x, [])


def test_the_statistics_leave_the_excluded_rows_out(tmp_path):
    x = np.zeros((N, D), np.float32)
    x[:500], x[500:] = 2.0, 4.0
    x[::10] = 1e6
    left_out = np.arange(N) % 10 == 0
    facts = write(writer(tmp_path / "a", "float32"), x, [333], left_out)
    assert facts["n_included_rows"] == 900
    assert facts["rms"] == pytest.approx(np.sqrt(10))
    assert facts["mean_norm"] == pytest.approx(3 * np.sqrt(D))


def test_a_shard_whose_flush_failed_is_missing_again_and_tells_it(tmp_path, monkeypatch):
    x, none = rows(), np.zeros(N, bool)
    torn = writer(tmp_path / "a")
    close = OpenShard.close

    def failing(shard):
        if shard.shard == 1:
            raise OSError(5, "made to fail")
        return close(shard)

    monkeypatch.setattr(OpenShard, "close", failing)
    torn.append(0, x[:512], none[:512])  # the flush is behind
    with pytest.raises(OSError, match="made to fail"):
        torn.append(512, x[512:], none[512:])
        torn.finalise()
    assert 1 in torn.missing
    torn.close()
    assert not list((tmp_path / "a").rglob("*.tmp"))
    monkeypatch.undo()
    again = writer(tmp_path / "a")
    assert 1 in again.missing and 0 not in again.missing
    again.append(0, x, none)
    again.finalise()
    check_bytes(tmp_path / "a", tmp_path / "b", x)
