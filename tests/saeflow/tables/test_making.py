from saeflow.files import write_json
from saeflow.tables.files import read_csv
from saeflow.tables.making import make_table


def records(tmp_path):
    paths = []
    for method, error in (("", 10.0), ("~scale", 8.0)):
        path = (
            tmp_path
            / f"results/saes/m/d/p/resid_post.0/a{method}/seed-0/on/d/p/reconstruction.json"
        )
        metric = {"value": error, "low": error - 1, "high": error + 1}
        write_json(path, {"n_tokens": 5, "n_documents": 2, "metrics": {"l0": metric}})
        paths.append(path)
    return paths


def test_a_table_is_made_from_records_with_the_same_bytes_each_time(tmp_path):
    wanted = {"reconstruction": records(tmp_path)}
    settings = {"table": "l0", "rows": []}
    for name in ("a.csv", "b.csv"):
        facts = make_table("suppression", "l0", wanted, tmp_path / name, settings)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    table = read_csv(tmp_path / "a.csv")
    assert table["l0"].tolist() == [10, 8] and table["method"].tolist() == ["original", "scale"]
    assert facts == {"n_rows": 2, "columns": list(table.columns)}


def test_the_order_of_the_records_does_not_matter(tmp_path):
    paths = records(tmp_path)
    for name, order in (("a.csv", paths), ("b.csv", paths[::-1])):
        make_table("suppression", "l0", {"reconstruction": order}, tmp_path / name, {})
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
