"""Real runs of Snakemake that log with the plugin."""

import re

from saeflow import paths

A, B, C, D = (letter * 16 for letter in "abcd")
NOT_FINITE = "the loss is not finite (got nan). Lower `lr`."


def lines(text):
    """Return lines with the parts that differ from run to run replaced."""
    text = re.sub(r"\S+\.snakemake\.log", "LOG", text)
    text = re.sub(r"(?m)^ +\d+:\d\d  ", "CLOCK ", text)
    text = re.sub(
        r"\b(?:\d+ min )?\d+ s\b( +)?", lambda found: "SOME s" + "  " * bool(found[1]), text
    )
    text = re.sub(r"\b\d of (\d) passes", r"N of \1 passes", text)
    return re.sub(r"(, (less|about) [^\n]* left)", "", text).splitlines()


def test_a_run_tells_each_pass_and_then_there_is_nothing_to_do(passes):
    passes.model(A, warns=["few tokens for so large a model"])
    passes.saes(B, "resid_post.0", ["topk", "relu"])
    code, out, err = passes.run()
    assert (code, out) == (0, "")
    told = lines(err)
    assert told[0] == "2 passes to run; Snakemake's own log: LOG"
    assert sorted(line for line in told if "begins" in line) == [
        "CLOCK train_lm    world-s               begins: 1 model",
        "CLOCK train_saes  world-s resid_post.0  begins: 2 SAEs",
    ]
    assert sorted(line for line in told if " in SOME s" in line)[1:] == [
        "CLOCK train_lm    world-s               1 model in SOME s  N of 2 passes",
        "CLOCK train_saes  world-s resid_post.0  2 SAEs in SOME s  N of 2 passes",
    ]
    assert "         warning: few tokens for so large a model" in told
    assert told[-2:] == ["", "All is done: 2 passes in SOME s."]

    log = next((passes.root / ".snakemake" / "log").glob("*.log")).read_text()
    assert "rule train_saes:" in log  # the chatter is there
    assert list((passes.root / paths.PROGRESS).iterdir()) == []
    assert passes.run() == (0, "", "Nothing to do: everything is there and up to date.\n")


def test_a_failed_run_tells_what_failed_why_and_what_to_do(passes):
    passes.saes(A, "resid_post.0", ["topk", ("relu", NOT_FINITE), ("gated", NOT_FINITE)])
    passes.saes(B, "resid_post.1", ["topk"])
    passes.saes(C, "resid_post.2", ["topk"], killed=True)
    needs_it = "results/saes/world-s/world/sae-256/resid_post.3/topk/seed-0/sae.json"
    passes.saes(D, "resid_post.3", ["topk"], left_out={needs_it: []})
    code, _, err = passes.run()
    assert code == 1
    told = lines(err)
    (line,) = [line for line in told if "left out: what it needs failed" in line]
    assert line.startswith("CLOCK train_saes  world-s resid_post.3  ")
    line = "CLOCK train_saes  world-s resid_post.0  FAILED after SOME s, 2 of 3 SAEs not made"
    assert line in told
    assert "4 passes: 1 done, 2 failed, 1 left out, after SOME s." in told
    where = "results/logs/train_saes/world-s/world/sae-256"
    begin = told.index("train_saes world-s resid_post.0 failed:")
    assert told[begin + 1 : begin + 4] == [
        f"  relu   {NOT_FINITE}",
        f"  gated  {NOT_FINITE}",
        f"  log: {where}/resid_post.0/{A}.log",
    ]
    begin = told.index("train_saes world-s resid_post.2 failed:")
    assert told[begin + 1 : begin + 3] == [
        "  The process was killed, most likely because memory ran out.",
        f"  log: {where}/resid_post.2/{C}.log",
    ]
    assert told[-1].startswith("What was made is kept. Mend the cause and run again")
    assert err.count(NOT_FINITE) == 2  # each once, and Snakemake's own words nowhere
    assert "RuleException" not in err
    assert "the job's own words" not in err


def test_a_job_speaks_for_itself_where_nobody_follows_it(passes):
    passes.saes(A, "resid_post.0", [("relu", NOT_FINITE)])
    command = [word for word in passes.command() if word not in ("--logger", "saeflow")]
    passes.command = lambda *_: command
    _, _, err = passes.run()
    assert "the job's own words about its failure" in err


def test_a_dry_run_is_a_table_of_what_would_be_made(passes):
    passes.add(
        D,
        "tabulate",
        {"configuration": "config", "study": "suppression"},
        [
            f"results/studies/config/tables/suppression/{name}.json"
            for name in ("loss", "shrinkage")
        ],
    )
    passes.saes(B, "resid_post.1", ["topk"])
    passes.saes(A, "resid_post.0", ["topk", "relu", "gated", "jumprelu", "batch_topk", "p_anneal"])
    passes.model(C)
    code, out, err = passes.run("--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "4 passes would run:",
        "  train_lm    world-s               1 model   model",
        "  train_saes  world-s resid_post.0  6 SAEs    topk, relu, gated, jumprelu and 2 more",
        "  train_saes  world-s resid_post.1  1 SAE     topk/seed-0",
        "  tabulate    suppression           2 tables  loss, shrinkage",
    ]


def test_an_unknown_target_is_told_as_snakemake_says_it(passes):
    passes.model(A)
    code, _, err = passes.run("--quiet", "rules", "--", "no-such-file")
    assert code == 1
    assert "MissingRuleException" in err
