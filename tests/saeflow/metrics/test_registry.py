import subprocess
import sys
from pathlib import Path

import pytest

import saeflow
from saeflow import registry
from saeflow.metrics.documentation import metrics_page
from saeflow.metrics.registry import MEASURES, METRICS, measure_of


def test_the_measures_are_the_modules_that_say_so():
    assert set(MEASURES) == {
        "ablations", "answers", "benchmarks", "clean", "codes", "contexts", "controls",
        "dense_probes", "effects", "erasure", "facts", "gate", "language", "lenses", "positions",
        "probes", "propagation", "reconstruction", "similarity", "sparse_probes", "splitting",
        "states",
    }  # fmt: skip
    for name, measure in MEASURES.items():
        assert registry.load("metrics", name).MEASURE is measure and measure.name == name
        assert measure.text and measure.of in ("sae", "model", "hook", "pair")


@pytest.mark.parametrize("name", list(MEASURES))
def test_what_computes_a_measure_can_be_loaded(name):
    assert registry.function(MEASURES[name].compute).__name__ == f"measure_{name}"


def test_each_metric_has_a_formula_of_its_name_in_the_module_of_its_measure():
    for name, metric in METRICS.items():
        module = registry.load("metrics", measure_of(name).name)
        assert metric.name == name and getattr(module, name) is metric.formula


def test_labels_are_unique():
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)


def test_axis_labels_carry_the_unit():
    assert METRICS["delta_ce"].axis == "Added loss (nats/token)"
    assert METRICS["fvu"].axis == "Fraction of variance unexplained"


def test_what_is_said_of_a_metric_is_one_of_few_words():
    assert {m.direction for m in METRICS.values()} <= {"lower", "higher", "one", "none"}
    assert {m.per for m in METRICS.values()} == {"token", "latent", "width", "match"}


def test_planning_reads_the_declarations_without_what_computes():
    heavy = ("torch", "pandas", "scipy", "transformers", "pyarrow", "matplotlib")
    code = (
        "import sys; import saeflow.metrics.registry, saeflow.metrics.intervals;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    root = str(Path(saeflow.__file__).parents[1])
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_the_page_names_every_metric_and_keeps_its_tables_whole():
    page = metrics_page()
    for metric in METRICS.values():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{metric.name}` |"))
        assert row.replace("\\|", "").count("|") == 7
        assert metric.source in row
    for measure in MEASURES.values():
        assert measure.text in page
