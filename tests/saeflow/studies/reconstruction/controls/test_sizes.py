import pytest

from saeflow.errors import ConfigError

GIVEN = [{"parameters": 1e6, "loss": 3.0}, {"parameters": 100_000, "loss": 4}]


def test_sizes_are_sorted_and_a_file_gives_the_same(resolved, outputs, tmp_path):
    expected = [{"parameters": 1e5, "loss": 4.0}, {"parameters": 1e6, "loss": 3.0}]
    assert resolved(scaling=GIVEN)[1]["scaling"] == expected
    (tmp_path / "sizes.csv").write_text("name,loss,parameters\nlarge,3.0,1e6\nsmall,4,100000\n")
    made = outputs(scaling="sizes.csv")
    options = made.table("reconstruction", "smaller_models").settings["options"]
    assert options == {"scaling": expected}
    same = outputs(scaling=GIVEN).table("reconstruction", "smaller_models")
    assert same.identity == made.table("reconstruction", "smaller_models").identity


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([{"parameters": 1e6, "loss": 3.0}], "scaling: a scaling table needs sizes.*at least 2"),
        (
            [*GIVEN, {"parameters": 1e7, "loss": 3.0}],
            "does not fall from 1e.06 to 1e.07 parameters",
        ),
        ([*GIVEN, {"parameters": 1e6, "loss": 2.0}], "stands for no size"),
        ([{"parameters": 1e6, "los": 3.0}], "scaling.*unknown key 'los'"),
        ([{"parameters": 1e6, "loss": -3.0}], "scaling"),
        ("none.csv", "cannot be read: FileNotFoundError.*got none.csv"),
        ("bad.csv", "the scaling table cannot be read.*columns parameters and loss"),
        ("words.csv", "the scaling table cannot be read"),
    ],
)
def test_a_table_that_gives_no_size_is_refused(resolved, tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text("n,loss\n1,2\n")
    (tmp_path / "words.csv").write_text("parameters,loss\nmany,2\n")
    with pytest.raises(ConfigError, match=message):
        resolved(scaling=given)
