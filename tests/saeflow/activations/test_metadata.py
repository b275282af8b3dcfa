import pytest

from saeflow.activations.layout import ARRAY, plan_layout
from saeflow.activations.writer import write_metadata
from saeflow.errors import StoreError
from saeflow.files import read_json

ABOUT = {
    "hook": "mlp_out.3",
    "model": {"name": "m"},
    "tokens": "t" * 64,
    "tokenizer": "v" * 64,
    "context_length": 64,
}


def write(path, dtype="float16", d_model=8, **changes):
    write_metadata(path, plan_layout(1_000, d_model, dtype, 256), {**ABOUT, **changes})


def test_metadata_say_what_the_store_is_and_that_it_is_not_complete(tmp_path):
    write(tmp_path)
    group, array = read_json(tmp_path / "zarr.json"), read_json(tmp_path / ARRAY / "zarr.json")
    assert group["attributes"] == {"format": "saeflow-activations-1", **ABOUT, "complete": False}
    assert array["shape"] == [1_000, 8]
    assert array["attributes"] == {"logical_dtype": "float16"}


@pytest.mark.parametrize("name", ["zarr.json", f"{ARRAY}/zarr.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[]"])
def test_damaged_metadata_mend_themselves_and_values_stay(tmp_path, name, content):
    write(tmp_path)
    before = (tmp_path / name).read_bytes()
    shard = tmp_path / ARRAY / "c" / "0" / "0"
    shard.parent.mkdir(parents=True)
    shard.write_text("values")
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    write(tmp_path)
    assert (tmp_path / name).read_bytes() == before
    assert shard.read_text() == "values"


def test_a_complete_store_that_is_written_to_again_is_not_complete(tmp_path):
    write(tmp_path)
    path = tmp_path / "zarr.json"
    before = path.read_text()
    path.write_text(before.replace('"complete": false', '"complete": true'))
    write(tmp_path)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"hook": "mlp_out.2"}, "expected hook mlp_out.2; got hook mlp_out.3"),
        ({"model": {"name": "n"}}, "model {'name': 'n'}"),
        ({"tokens": "u" * 64}, "tokens uuu"),
        ({"tokenizer": "w" * 64}, "tokenizer www"),
        ({"context_length": 128}, "context_length 128"),
        ({"dtype": "bfloat16"}, "data_type uint16, logical_dtype bfloat16"),
        ({"d_model": 16}, "shape"),
    ],
)
def test_a_store_of_something_else_in_this_place_is_refused(tmp_path, change, named):
    write(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("zarr.json")}
    with pytest.raises(StoreError) as error:
        write(tmp_path, **change)
    assert named in str(error.value)
    assert "Delete" in str(error.value)
    assert {p: p.read_bytes() for p in before} == before
