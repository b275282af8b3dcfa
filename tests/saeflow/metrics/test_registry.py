from saeflow import registry
from saeflow.metrics.documentation import metrics_page
from saeflow.metrics.registry import METRICS, of_measure
from saeflow.plan.plan import MEASURES


def test_each_metric_has_a_formula_and_each_formula_a_metric():
    assert sorted(METRICS) == registry.names("metrics.formulas")


def test_each_formula_can_be_computed():
    for name in METRICS:
        assert callable(registry.load("metrics.formulas", name).compute)


def test_keys_are_names_and_labels_are_unique():
    assert all(name == metric.name for name, metric in METRICS.items())
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)


def test_the_plan_asks_each_measure_for_the_metrics_that_it_gives():
    assert {measure: sorted(of_measure(measure)) for measure in MEASURES} == {
        measure: sorted(names) for measure, names in MEASURES.items()
    }


def test_axis_labels_carry_the_unit():
    assert METRICS["delta_ce"].axis == "Added loss (nats/token)"
    assert METRICS["fvu"].axis == "Fraction of variance unexplained"


def test_directions_are_known():
    assert {m.direction for m in METRICS.values()} <= {"lower", "higher", "one", "none"}


def test_the_page_names_every_metric_and_keeps_its_tables_whole():
    page = metrics_page()
    for metric in METRICS.values():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{metric.name}` |"))
        assert row.replace("\\|", "").count("|") == 7
        assert metric.source in row
