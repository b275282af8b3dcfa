import copy
from pathlib import Path

import pytest

from saeflow.errors import ConfigError
from saeflow.metrics.registry import MEASURES
from saeflow.plan.outputs import Outputs
from saeflow.studies.study import OTHERS, PROMPTS

from .conftest import plan_of

RECONSTRUCTION = "reconstruction"


@pytest.fixture
def make_outputs(config):
    def make(**study):
        changed = copy.deepcopy(config)
        changed["studies"]["suppression"].update(study)
        return Outputs(plan_of(changed))

    return make


def test_the_suppression_study_has_every_recipe_hook_and_seed_and_tunes_the_relu_ones(make_outputs):
    outputs = make_outputs(seeds=[0, 1])
    rows = rows_of(outputs)
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
    rows = rows_of(outputs)
    assert {row["sae"] for row in rows} == {"relu", "topk", "topk~scale"}


def rows_of(outputs):
    config = outputs.plan.config
    section = config["studies"]["suppression"]
    return list(outputs.studies["suppression"].rows(config, section))


def shown(outputs):
    return {*outputs.tables("suppression"), *outputs.figures("suppression")}


def test_tables_and_figures_without_anything_to_show_are_not_made(make_outputs):
    with_methods, without = shown(make_outputs()), shown(make_outputs(methods=[]))
    assert {"l0", "l2_ratio", "frequencies", "training_curves"} <= without
    assert {"mse_reduction", "perplexity_recovery", "tuning_curves"} <= with_methods - without
    # the study of the tests fine-tunes by `scale` alone, in steps
    assert not {"closed_form", "latents", "shift", "scaling_and_theory"} & with_methods


def test_the_theory_is_shown_where_an_l1_penalty_was_paid(config, make_outputs):
    config["methods"] = {"exact": {"solver": "exact", "method": "decoder"}}
    relu = shown(make_outputs(methods=["exact"]))
    assert {"shift", "shift_by_penalty", "scaling_and_theory", "latents"} <= relu
    topk = shown(make_outputs(methods=["exact"], tune=["topk"]))
    assert "latents" in topk and not {"shift", "shift_by_penalty", "scaling_and_theory"} & topk


def test_the_toys_are_one_one_whatever_the_studys_saes_are(make_outputs):
    one, other = make_outputs(), make_outputs(saes=["topk"], methods=[], hooks=["resid_post.0"])
    for outputs in (one, other):
        (toys,) = outputs.table("suppression", "theory").inputs["simulation"]
        assert toys.rule == "simulate" and not list(toys.upstream())
    tables = [outputs.table("suppression", "theory") for outputs in (one, other)]
    assert tables[0].identity == tables[1].identity
    again = make_outputs(theory={"seed": 1}).table("suppression", "theory")
    assert again.identity != tables[0].identity


def test_rows_come_in_the_same_order_each_time(make_outputs):
    first, second = make_outputs(), make_outputs()
    assert rows_of(first) == rows_of(second)


def test_everything_wanted_leads_to_the_report_and_no_two_results_are_one_file(make_outputs):
    wanted = make_outputs().wanted
    files = [file for one in wanted for file in (one.output, *one.files)]
    assert len(files) == len(set(files))
    assert {one.rule for one in wanted} >= {"build_report", "train_saes", "train_lm"}
    read = {other for one in wanted for other in one.upstream()}
    assert {one.rule for one in wanted - read} == {"build_report"}


def test_a_study_wants_its_tables_and_figures_and_no_report(make_outputs):
    wanted = {str(file) for one in make_outputs().of_study("suppression") for file in one.files}
    assert "results/studies/config/tables/suppression/l0.csv" in wanted
    assert "results/studies/config/figures/suppression/l0_by_method.pdf" in wanted
    assert "results/studies/config/report.html" not in wanted


def test_a_result_is_found_by_its_record_or_file_wanted_or_not(make_outputs):
    outputs = make_outputs(saes=["relu"])
    place = "results/saes/small/texts/ctx-64/resid_post.1"
    assert outputs.find(Path("results/studies/config/tables/suppression/l0.csv")).rule == "tabulate"
    unwanted = outputs.find(Path(f"{place}/topk/seed-0/sae.json"))
    assert unwanted.rule == "train_saes" and unwanted not in outputs.wanted
    assert outputs.find(Path(f"{place}/none/seed-0/sae.json")) is None
    with pytest.raises(ConfigError, match="nothing in this configuration makes this"):
        outputs.leading_to([Path("results/x.json")])
    made = outputs.leading_to([Path("results/models/small/model.json")])
    assert {one.rule for one in made} == {
        "train_lm", "train_tokenizer", "fetch_dataset", "tokenize_dataset",
    }  # fmt: skip


def test_what_a_table_reads_can_be_about_other_saes_and_other_texts(make_outputs, monkeypatch):
    """One SAE at the first hook, on prompts, together with its like at the second hook."""
    outputs = make_outputs()

    def first(config, section):
        rows = rows_of(outputs)
        (other,) = (r for r in rows if (r["hook"], r["sae"]) == ("resid_post.2", "topk"))
        (row,) = (r for r in rows if (r["hook"], r["sae"]) == ("resid_post.1", "topk"))
        yield {**row, PROMPTS: "riddles", OTHERS: [other]}

    monkeypatch.setitem(
        MEASURES, RECONSTRUCTION, MEASURES[RECONSTRUCTION]._replace(reads=("model",))
    )
    study = outputs.studies["suppression"]
    whole = outputs.table("suppression", "l0")
    monkeypatch.setitem(
        outputs.studies, "suppression", study._replace(rows_of={RECONSTRUCTION: first})
    )
    outputs.table.cache_clear()
    table = outputs.table("suppression", "l0")
    (one,) = table.inputs[RECONSTRUCTION]
    assert len(whole.inputs[RECONSTRUCTION]) == 6 and table.identity != whole.identity
    assert one.output.parts[-4:] == ("on", "riddles", "prompts", "reconstruction.json")
    assert [other.place["hook"] for other in one.inputs["others"]] == ["resid_post.2"]
    assert one.inputs["sae"].place["hook"] == "resid_post.1"


@pytest.mark.parametrize("together", [False, True])
def test_a_measure_of_all_hooks_together_is_one_pass(make_outputs, monkeypatch, together):
    measure = MEASURES[RECONSTRUCTION]._replace(together=together, reads=("model",))
    monkeypatch.setitem(MEASURES, RECONSTRUCTION, measure)
    made = make_outputs().table("suppression", "l0").inputs[RECONSTRUCTION]
    assert {one.place["hook"] for one in made} == (
        {"model"} if together else {"resid_post.1", "resid_post.2"}
    )
    assert len({one.output for one in made}) == 6


def test_one_pass_over_all_hooks_has_all_prompt_sets(make_outputs, monkeypatch):
    outputs = make_outputs()
    measure = MEASURES[RECONSTRUCTION]._replace(together=True, reads=("model",))
    monkeypatch.setitem(MEASURES, RECONSTRUCTION, measure)

    def on_prompts(config, section):
        for name in ("riddles", "rhymes"):
            yield from ({**row, PROMPTS: name} for row in rows_of(outputs))

    study = outputs.studies["suppression"]
    of_kind = {RECONSTRUCTION: on_prompts}
    monkeypatch.setitem(outputs.studies, "suppression", study._replace(rows_of=of_kind))
    made = outputs.table("suppression", "l0").inputs[RECONSTRUCTION]
    assert len({one.output for one in made}) == len(made) == 12
    assert len({tuple(one.place.items()) for one in made}) == 1
