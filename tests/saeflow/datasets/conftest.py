"""Local datasets: files of every kind, and what becomes of them."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from saeflow.datasets.files import find_files
from saeflow.datasets.local import local_source
from saeflow.datasets.write import write_documents


@pytest.fixture
def make(tmp_path):
    """Write a file, compressed as its name says, and return its path.

    Lists become lines of JSON, and Arrow's tables Parquet.
    """

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pa.Table):
            pq.write_table(content, path)
            return path
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        content = content if isinstance(content, bytes) else content.encode()
        if path.suffix == ".gz":
            content = gzip.compress(content)
        if path.suffix == ".zst":
            content = pa.compress(content, "zstd", asbytes=True)
        path.write_bytes(content)
        return path

    return write_file


@pytest.fixture
def written(tmp_path):
    """Return a dataset's rows as they are written, less their number and split, and the record."""

    def write(path, text="text", separator=None):
        files = find_files(path, where="c.yaml > path", separator=separator)
        opened = local_source(files, str(path), text, separator)
        facts = write_documents(tmp_path, opened, {"train": 1.0}, 0)
        table = pq.read_table(tmp_path / "documents.parquet")
        return table.drop(["document", "split"]).to_pylist(), facts

    return write


@pytest.fixture
def rows(written):
    return lambda *arguments, **options: written(*arguments, **options)[0]
