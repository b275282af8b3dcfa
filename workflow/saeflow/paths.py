"""Where everything lies: one pattern per kind of result, the only place with path strings.

A pattern is a Snakemake output with wildcards; `fill` puts values in.
"""

from __future__ import annotations

from pathlib import Path

RESULTS = "results"

MODEL = RESULTS + "/models/{model}/model.json"
CHECKPOINT = RESULTS + "/models/{model}@{step}/model.json"
TOKENIZER = RESULTS + "/tokenizers/{tokenizer}/tokenizer.json"
DATASET = RESULTS + "/datasets/{dataset}/dataset.json"
TOKENS = RESULTS + "/tokens/{tokenizer}/{dataset}/{packing}/tokens.json"
ACTIVATIONS = RESULTS + "/activations/{model}/{dataset}/{packing}/{hook}.json"
RELEASED_ACTIVATIONS = RESULTS + "/activations/{model}/{dataset}/{packing}/{hook}.released.json"
PART = RESULTS + "/activations/{model}/{dataset}/{packing}/parts/{part}-of-{of}.json"
SAE_DIRECTORY = RESULTS + "/saes/{model}/{dataset}/{packing}/{hook}/{sae}/seed-{seed}"
SAE = SAE_DIRECTORY + "/sae.json"
RECONSTRUCTION = SAE_DIRECTORY + "/on/{eval_dataset}/{eval_packing}/reconstruction.json"
LANGUAGE = SAE_DIRECTORY + "/on/{eval_dataset}/{eval_packing}/language.json"
PROBES = SAE_DIRECTORY + "/on/{eval_dataset}/{eval_packing}/probes.json"
BENCHMARKS = RESULTS + "/models/{model}/on/{dataset}/{packing}/benchmarks.json"
SIMULATION = RESULTS + "/theory/{study}.json"
TABLE = RESULTS + "/tables/{study}/{table}"
FIGURE = RESULTS + "/figures/{study}/{figure}"
REPORT = RESULTS + "/report.html"
REPORT_RECORD = RESULTS + "/report.json"

JOBS = RESULTS + "/.jobs"
MADE = RESULTS + "/.made"
LOCAL_HASHES = RESULTS + "/.cache/local-hashes.json"
LOGS = RESULTS + "/logs"

WILDCARDS = {
    "model": r"[A-Za-z0-9][A-Za-z0-9._+-]*(@[0-9]+)?",
    "step": r"[0-9]+",
    "tokenizer": r"[A-Za-z0-9][A-Za-z0-9._+-]*",
    "dataset": r"[A-Za-z0-9][A-Za-z0-9._+-]*",
    "packing": r"[A-Za-z0-9][A-Za-z0-9._+-]*",
    "eval_dataset": r"[A-Za-z0-9][A-Za-z0-9._+-]*",
    "eval_packing": r"[A-Za-z0-9][A-Za-z0-9._+-]*",
    "hook": r"(resid_pre|resid_mid|resid_post|attn_out|mlp_out)\.[0-9]+",
    "sae": r"[A-Za-z0-9][A-Za-z0-9._+-]*(~[A-Za-z0-9][A-Za-z0-9._+-]*)?",
    "seed": r"[0-9]+",
    "part": r"[0-9]+",
    "of": r"[0-9]+",
    "study": r"[a-z_]+",
    "table": r"[a-z0-9_]+",
    "figure": r"[a-z0-9_]+",
}
"""What each wildcard may be; no wildcard contains a slash."""


def fill(pattern: str, **values: object) -> Path:
    """Return the path of ``pattern`` with its wildcards replaced."""
    return Path(pattern.format(**values))


def of_study(pattern: str, study: str, suffix: str = "") -> str:
    """Return the pattern of one study's tables or figures, with a file's suffix."""
    return pattern.replace("{study}", study) + suffix


def job_file(record: Path) -> Path:
    """Return where the job file of a record lies."""
    return Path(JOBS) / Path(record).relative_to(RESULTS)


def made_file(record: Path, identity: str) -> Path:
    """Return where the description of what a record was made from lies."""
    relative = Path(record).relative_to(RESULTS)
    return Path(MADE) / relative.parent / f"{relative.stem}.{identity[:16]}.json"


def log_pattern(pattern: str) -> str:
    """Return the log that belongs to an output pattern."""
    stem = pattern.removeprefix(RESULTS + "/").removesuffix(".json").removesuffix(".html")
    return f"{LOGS}/{stem}.log"
