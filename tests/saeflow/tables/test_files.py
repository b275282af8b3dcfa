import numpy as np
import pandas as pd
import pytest

from saeflow.errors import DamagedError
from saeflow.tables.files import read_csv, write_csv


def table():
    return pd.DataFrame(
        {"name": ["none", "b"], "n": [1, 2], "x": [1 / 3, np.nan], "flag": [True, False]}
    )


def test_a_table_comes_back_as_it_was(tmp_path):
    write_csv(table(), tmp_path / "t.csv")
    back = read_csv(tmp_path / "t.csv")
    assert back["name"].tolist() == ["none", "b"] and back["flag"].tolist() == [True, False]
    assert back["x"][0] == pytest.approx(1 / 3, rel=1e-8) and np.isnan(back["x"][1])


def test_rounding_in_the_last_bits_moves_no_byte(tmp_path):
    first, second = table(), table()
    second["x"] = second["x"] * (1 + 1e-14)
    write_csv(first, tmp_path / "a.csv")
    write_csv(second, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


def test_a_missing_or_empty_table_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DamagedError, match="t.csv"):
        read_csv(tmp_path / "t.csv")
    (tmp_path / "t.csv").touch()
    with pytest.raises(DamagedError, match="cannot be read"):
        read_csv(tmp_path / "t.csv")
