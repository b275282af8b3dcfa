import pytest

from saeflow.activations.layout import plan_layout
from saeflow.errors import ConfigError


@pytest.mark.parametrize(
    ("d_model", "inner", "shard_mib"), [(512, 2048, 128), (768, 1024, 96), (4096, 256, 128)]
)
def test_an_inner_chunk_has_at_most_two_mebibytes_and_a_shard_64_of_them(d_model, inner, shard_mib):
    layout = plan_layout(10_000_000, d_model, "float16")
    assert layout.inner_rows == inner
    assert layout.shard_rows * layout.row_bytes == shard_mib << 20


def test_a_large_store_has_larger_shards():
    assert plan_layout(100_000_000, 512, "float16").shard_rows == 4 * 131_072


def test_a_small_store_is_not_padded_to_more_than_twice_its_rows():
    layout = plan_layout(3_000, 16, "float16")
    assert layout.data_bytes(0) <= 2 * 3_000 * layout.row_bytes


def test_only_the_last_shard_is_short():
    layout = plan_layout(1_000, 8, "float32", 256)
    assert [layout.rows_of(s) for s in range(layout.n_shards)] == [
        (0, 256),
        (256, 512),
        (512, 768),
        (768, 1_000),
    ]


def test_shards_that_are_not_a_power_of_two_are_refused():
    with pytest.raises(ConfigError, match="power of two"):
        plan_layout(1_000, 8, "float32", 300)
