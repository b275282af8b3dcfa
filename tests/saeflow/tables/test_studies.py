"""What the plan says of tables and figures is what their modules say of themselves."""

import pytest

from saeflow import registry

STUDIES = registry.names("plan.studies")


@pytest.mark.parametrize("study", STUDIES)
def test_every_table_of_the_plan_has_a_builder_that_reads_what_the_plan_gives(study):
    tables = registry.load("plan.studies", study).TABLES
    assert sorted(tables) == registry.names(f"tables.{study}")
    for name, kinds in tables.items():
        assert registry.load(f"tables.{study}", name).READS == kinds


@pytest.mark.parametrize("study", STUDIES)
def test_every_figure_of_the_plan_is_drawn_from_the_table_that_the_plan_gives_it(study):
    figures = registry.load("plan.studies", study).FIGURES
    assert sorted(figures) == registry.names(f"figures.{study}")
    for name, table in figures.items():
        module = registry.load(f"figures.{study}", name)
        assert module.TABLE == table and module.TITLE
