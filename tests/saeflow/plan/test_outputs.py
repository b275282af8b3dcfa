import copy

import pytest

from dag.tree import CONFIG
from saeflow.config.checks import resolve
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.registry import load, names

STUDIES = names("plan.studies")


@pytest.fixture
def make_outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("one two\n")

    def make(**study):
        config = copy.deepcopy(CONFIG)
        config["studies"]["suppression"].update(study)
        return Outputs(Plan(resolve(config)))

    return make


@pytest.mark.parametrize("study", STUDIES)
def test_every_table_and_figure_of_a_study_has_a_module_and_every_figure_a_table(study):
    module = load("plan.studies", study)
    assert set(module.TABLES) <= set(names(f"tables.{study}"))
    assert set(module.FIGURES) <= set(names(f"figures.{study}"))
    assert set(module.FIGURES.values()) <= set(module.TABLES)


def test_the_suppression_study_has_every_recipe_hook_and_seed_and_tunes_the_relu_ones(make_outputs):
    outputs = make_outputs(seeds=[0, 1])
    rows = list(outputs.studies["suppression"].rows(outputs.plan.config))
    found = {(row["hook"], row["sae"], row["seed"]) for row in rows}
    assert found == {
        (hook, sae, seed)
        for hook in ("resid_post.1", "resid_post.2")
        for sae in ("relu", "relu~scale", "topk")
        for seed in (0, 1)
    }
    assert len(rows) == len(found)


def test_only_named_recipes_are_tuned_where_the_study_names_them(make_outputs):
    outputs = make_outputs(tune=["topk"])
    rows = outputs.studies["suppression"].rows(outputs.plan.config)
    assert {row["sae"] for row in rows} == {"relu", "topk", "topk~scale"}


def shown(outputs):
    made = [*outputs.tables("suppression"), *outputs.figures("suppression")]
    return {job.settings.get("table", job.settings.get("figure")) for job in made}


def test_tables_and_figures_without_anything_to_show_are_not_made(make_outputs):
    with_methods, without = shown(make_outputs()), shown(make_outputs(methods=[]))
    assert {"l0", "l2_ratio", "frequencies", "training_curves"} <= without
    assert {"mse_reduction", "perplexity_recovery", "tuning_curves"} <= with_methods - without
    # the study of the tests fine-tunes by `scale` alone, in steps
    assert not {"closed_form", "latents", "shift", "scaling_and_theory"} & with_methods


def test_the_theory_is_shown_where_an_l1_penalty_was_paid(make_outputs, monkeypatch):
    from dag import tree

    methods = {"exact": {"solver": "exact", "method": "decoder"}}
    monkeypatch.setitem(tree.CONFIG, "methods", methods)
    relu = shown(make_outputs(methods=["exact"]))
    assert {"shift", "shift_by_penalty", "scaling_and_theory", "latents"} <= relu
    topk = shown(make_outputs(methods=["exact"], tune=["topk"]))
    assert "latents" in topk and not {"shift", "shift_by_penalty", "scaling_and_theory"} & topk


def test_the_toys_are_one_job_whatever_the_studys_saes_are(make_outputs):
    one, other = make_outputs(), make_outputs(saes=["topk"], methods=[], hooks=["resid_post.0"])
    for outputs in (one, other):
        (toys,) = outputs.table("suppression", "theory").inputs["simulation"]
        assert toys is outputs.plan.simulation("suppression") and not list(toys.upstream())
    tables = [outputs.table("suppression", "theory") for outputs in (one, other)]
    assert tables[0].identity == tables[1].identity
    again = make_outputs(theory={"seed": 1}).table("suppression", "theory")
    assert again.identity != tables[0].identity


def test_rows_come_in_the_same_order_each_time(make_outputs):
    first, second = make_outputs(), make_outputs()
    module = first.studies["suppression"]
    assert list(module.rows(first.plan.config)) == list(module.rows(second.plan.config))


def test_everything_wanted_leads_to_the_report_and_no_two_jobs_write_one_file(make_outputs):
    wanted = make_outputs().wanted()
    files = [file for job in wanted for file in (job.output, *job.files)]
    assert len(files) == len(set(files))
    assert {job.rule for job in wanted} >= {"build_report", "train_sae", "train_lm"}
    read = {other for job in wanted for other in job.upstream()}
    assert {job.rule for job in wanted - read} == {"build_report"}


def test_the_targets_of_a_study_are_its_tables_and_figures(make_outputs):
    targets = list(make_outputs().targets("suppression"))
    assert "results/tables/suppression/l0.csv" in targets
    assert "results/figures/suppression/l0_by_method.pdf" in targets
    assert not [target for target in targets if target.endswith(".json")]
