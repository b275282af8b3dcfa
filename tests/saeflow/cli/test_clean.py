import json
import os
import subprocess
from pathlib import Path

import yaml

from dag.edits import entry
from holding import held
from saeflow.cli.garbage import find_garbage, is_busy, remove
from saeflow.cli.study import open_study
from saeflow.cli.words import size
from saeflow.files import read_json
from saeflow.locks import locked

SAES = "results/saes/small/texts/ctx-64/resid_post.1"
RELU = f"{SAES}/relu/seed-0"


def files(tree):
    """Every file of the results, but for locks."""
    found = (p for p in (tree.path / "results").rglob("*") if p.is_file())
    return {str(p.relative_to(tree.path)) for p in found if p.suffix != ".lock"}


def bulk(tree, place, stem="sae"):
    (found,) = (tree.path / place).glob(f"{stem}.*/")
    return found


def test_where_everything_is_wanted_there_is_nothing_to_remove(tree, done):
    before = files(tree)
    printed = done("clean", "--yes")
    assert "Nothing to remove" in printed
    assert files(tree) == before


def test_data_of_earlier_settings_are_listed_with_sizes_and_kept_without_yes(tree, saeflow):
    (bulk(tree, RELU) / "weights").write_bytes(b"x" * 2048)
    n_bytes = sum(file.stat().st_size for file in bulk(tree, RELU).iterdir())
    entry("saes", "relu", l1=0.2)(tree)
    tree.pretend()
    before = files(tree)
    printed = saeflow("clean")[1]
    line = next(line for line in printed.splitlines() if f"{RELU}/sae." in line)
    assert f"{size(n_bytes)}  earlier data" in line
    assert "`--yes` removes it" in printed
    assert files(tree) == before


def test_yes_removes_exactly_what_is_not_wanted(tree, saeflow):
    old = bulk(tree, RELU)
    entry("saes", "relu", l1=0.2)(tree)
    tree.pretend()
    assert "Removed" in saeflow("clean", "--yes")[1]
    assert not old.exists()
    new = bulk(tree, RELU)
    assert read_json(tree.path / RELU / "sae.json")["bulk"] == new.name
    assert tree.stale() == set()
    assert "Nothing to remove" in saeflow("clean")[1]


def test_unfinished_work_is_kept_while_it_is_wanted(tree, saeflow):
    wanted = bulk(tree, RELU)
    wanted = wanted.rename(f"{wanted}.partial")
    other = wanted.with_name(f"sae.{'0' * 16}.partial")
    other.mkdir()
    (tree.path / RELU / "sae.json").unlink()
    assert f"unfinished data  {RELU}/{other.name}" in saeflow("clean", "--yes")[1]
    assert wanted.is_dir()
    assert not other.exists()


def test_stale_data_that_are_the_latest_are_named_so_and_go_with_their_record(tree, saeflow):
    old = bulk(tree, RELU)
    entry("saes", "relu", l1=0.2)(tree)
    assert f"latest data      {RELU}/{old.name}" in saeflow("clean")[1]
    saeflow("clean", "--yes")
    assert not old.exists()
    assert not (tree.path / RELU / "sae.json").exists()


def test_what_a_running_process_holds_is_left_alone(tree, saeflow):
    old = bulk(tree, RELU)
    entry("saes", "relu", l1=0.2)(tree)
    record = tree.path / RELU / "sae.json"
    with held(record):
        printed = saeflow("clean", "--yes")[1]
        assert f"{RELU}/{old.name} (in use: left alone)" in printed
        assert old.is_dir() and record.exists()
        assert not list((tree.path / SAES / "relu~scale/seed-0").glob("sae.*/"))
    saeflow("clean", "--yes")
    assert not old.exists()


def of_a_pass(tree, plan, *identities):
    """Write plan, receipt and log of a pass that made results."""
    results = tree.path / "results"
    made = {"results": [{"identity": identity} for identity in identities]}
    files = [
        results / f".plans/{plan}.json",
        results / f".receipts/train_saes/small/{plan}.json",
        results / f"logs/train_saes/small/{plan}.log",
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(made))
    return files


def test_plans_receipts_logs_and_descriptions_of_what_is_gone_are_removed(tree, saeflow):
    wanted = tree.ask("identities")[f"{RELU}/sae.json"]
    kept = of_a_pass(tree, "a" * 16, "0" * 64, wanted)
    gone = of_a_pass(tree, "b" * 16, "0" * 64)
    tree.configure(lambda c: c["studies"]["suppression"]["hooks"].remove("resid_post.2"))
    tree.pretend()
    printed = saeflow("clean", "--yes")[1]
    for kind in ("1 plan", "1 receipt", "1 log", "descriptions"):
        assert kind in printed
    assert all(file.exists() for file in kept) and not any(file.exists() for file in gone)
    assert not [name for name in files(tree) if "/resid_post.2/" in name and "/." in name]


def test_what_explains_a_stale_result_is_kept(tree, saeflow):
    entry("saes", "relu", l1=0.2)(tree)
    tree.pretend("train_saes")
    saeflow("clean", "--yes")
    assert (
        "was 0.1, is 0.2" in saeflow("why", "results/studies/config/tables/suppression/l0.csv")[1]
    )


def test_row_tables_stay_as_long_as_activations_read_them(tree, saeflow):
    from saeflow.activations.rows import rows_identity

    place = "activations/small/texts/ctx-64"
    tokens = read_json(tree.path / "results/tokens/words/texts/ctx-64/tokens.json")["identity"]
    rows = tree.path / f"results/{place}/rows.{rows_identity(tokens)[:16]}.zarr"
    rows.mkdir(exist_ok=True)
    old = rows.with_name(f"rows.{'0' * 16}.zarr")
    old.mkdir()
    assert old.name in saeflow("clean", "--yes")[1]
    assert rows.is_dir()
    assert not old.exists()


def test_configurations_that_share_results_are_named_together(tree, saeflow):
    config = yaml.safe_load((tree.path / "config.yaml").read_text())
    config["saes"]["relu"]["l1"] = 0.2
    (tree.path / "other.yaml").write_text(yaml.safe_dump(config))
    assert f"{RELU}/sae." in saeflow("clean", "--configfile", "other.yaml")[1]
    both = saeflow("clean", "--configfile", "config.yaml", "other.yaml")[1]
    assert "Nothing to remove" in both


def test_a_removal_that_was_killed_is_finished_the_next_time(tree, saeflow):
    """Half removed, data must never look finished."""
    half = tree.path / RELU / f"sae.{'0' * 16}.removed"
    half.mkdir()
    (half / "manifest.json").write_text("{}")
    saeflow("clean", "--yes")
    assert not half.exists()


def test_figures_and_tables_are_never_garbage(tree, saeflow):
    tree.configure(lambda c: c["studies"]["suppression"]["hooks"].remove("resid_post.2"))
    other = tree.path / "results/studies/config/figures/mine/old.pdf"
    other.parent.mkdir(parents=True)
    other.write_text("x")
    saeflow("clean", "--yes")
    assert other.exists()
    assert (tree.path / "results/studies/config/figures/suppression/l0_by_method.pdf").exists()


def test_other_configurations_that_have_results_here_are_named(tree, saeflow):
    assert "other configurations" not in saeflow("clean")[1]
    (tree.path / "results/studies/wide").mkdir()
    assert "of other configurations: wide." in saeflow("clean")[1]


def test_nothing_outside_the_results_is_touched(tree, tmp_path, saeflow):
    """Not even through a link; the link itself may go."""
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "data").write_text("x")
    link = tree.path / RELU / f"sae.{'0' * 16}"
    link.symlink_to(outside)
    saeflow("clean", "--yes")
    assert not link.is_symlink()
    assert (outside / "data").read_text() == "x"


def test_a_process_that_began_after_the_listing_is_respected_too(tree):
    entry("saes", "relu", l1=0.2)(tree)
    wanted = open_study(Path("config.yaml")).wanted.values()
    pieces = [piece for piece in find_garbage(wanted) if piece.record]
    assert pieces
    record = tree.path / pieces[0].record
    with held(record):
        assert is_busy(pieces[0])
        assert not remove(pieces[0])
        assert pieces[0].path.is_dir() and record.exists()
    assert remove(pieces[0])
    assert not pieces[0].path.exists()


def test_temporary_files_of_killed_processes_are_removed_and_of_running_ones_kept(
    tree, saeflow, done
):
    gone = subprocess.Popen(["true"])
    gone.wait()
    with locked(tree.path / RELU / "sae.json"):
        pass
    left = [
        tree.path / RELU / f".sae.json.{gone.pid}.tmp",
        tree.path / f"results/studies/config/figures/suppression/.l0.pdf.{gone.pid}.tmp",
        tree.path / f"results/saes/.x.json.{gone.pid}.tmp",
    ]
    running = [file.with_name(file.name.replace(str(gone.pid), str(os.getpid()))) for file in left]
    for file in (*left, *running):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{")
    printed = done("clean")
    assert f"temporary file   {RELU}/.sae.json.{gone.pid}.tmp" in printed
    assert all(file.exists() for file in left)
    saeflow("clean", "--yes")
    assert not any(file.exists() for file in left)
    assert all(file.exists() for file in running)
    assert not list(tree.path.rglob(".l0.pdf.lock"))


def test_a_temporary_file_beside_a_place_that_is_held_is_left_alone(tree):
    gone = subprocess.Popen(["true"])
    gone.wait()
    record = tree.path / RELU / "sae.json"
    file = record.with_name(f".sae.json.{gone.pid}.tmp")  # a process of another machine, perhaps
    file.write_text("{")
    with held(record):
        pieces = find_garbage(open_study(Path("config.yaml")).wanted.values())
        (piece,) = (piece for piece in pieces if piece.path.name == file.name)
        assert is_busy(piece)
        assert not remove(piece)
        assert file.exists()
    assert remove(piece)
    assert not file.exists() and record.exists()
