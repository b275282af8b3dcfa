"""Where everything lies: one pattern per kind of result, the only place with path strings.

A pattern has wildcards; `fill` puts values in.
"""

from __future__ import annotations

from pathlib import Path

RESULTS = "results"

MODEL = RESULTS + "/models/{model}/model.json"
TOKENIZER = RESULTS + "/tokenizers/{tokenizer}/tokenizer.json"
DATASET = RESULTS + "/datasets/{dataset}/dataset.json"
TOKENS = RESULTS + "/tokens/{tokenizer}/{dataset}/{packing}/tokens.json"
ACTIVATIONS = RESULTS + "/activations/{model}/{dataset}/{packing}/{hook}.json"
RELEASED_ACTIVATIONS = RESULTS + "/activations/{model}/{dataset}/{packing}/{hook}.released.json"
SAE_DIRECTORY = RESULTS + "/saes/{model}/{dataset}/{packing}/{hook}/{sae}/seed-{seed}"
SAE = SAE_DIRECTORY + "/sae.json"
MEASUREMENT = SAE_DIRECTORY + "/on/{eval_dataset}/{eval_packing}/{measure}.json"
MEASUREMENT_OF_MODEL = RESULTS + "/models/{model}/on/{eval_dataset}/{eval_packing}/{measure}.json"
MEASUREMENT_OF_HOOK = (
    RESULTS + "/models/{model}/on/{eval_dataset}/{eval_packing}/{hook}/{measure}.json"
)
WITH = {name: f"with_{name}" for name in ("model", "dataset", "packing", "hook", "sae", "seed")}
"""The wildcards of an SAE, and those of another one that it is held against."""
MEASUREMENT_OF_PAIR = (
    SAE_DIRECTORY + "/on/{eval_dataset}/{eval_packing}/with/{with_model}/{with_dataset}"
    "/{with_packing}/{with_hook}/{with_sae}/seed-{with_seed}/{measure}.json"
)
MEASUREMENTS = {
    "sae": MEASUREMENT,
    "model": MEASUREMENT_OF_MODEL,
    "hook": MEASUREMENT_OF_HOOK,
    "pair": MEASUREMENT_OF_PAIR,
}
"""By what a measure is of."""
PROMPTS = RESULTS + "/prompts/{prompts}/prompts.json"
LABELLED = RESULTS + "/labelled/{labelled}/labelled.json"
ON_PROMPTS, ON_LABELLED = "prompts", "labelled"
"""In the place of the packing where something is measured on a prompt set, on labelled texts."""
NOT_PACKED = {ON_PROMPTS: "prompt sets", ON_LABELLED: "labelled texts"}

OF_CONFIGURATION = RESULTS + "/studies/{configuration}"
SIMULATION = OF_CONFIGURATION + "/theory/{study}.json"
TABLE = OF_CONFIGURATION + "/tables/{study}/{table}.json"
FIGURE = OF_CONFIGURATION + "/figures/{study}/{figure}.json"
REPORT = OF_CONFIGURATION + "/report.html"
REPORT_TIMES = OF_CONFIGURATION + "/report.times.js"
REPORT_RECORD = OF_CONFIGURATION + "/report.json"

RECEIPTS = RESULTS + "/.receipts"
PLANS = RESULTS + "/.plans"
PROGRESS = RESULTS + "/.progress"
MADE = RESULTS + "/.made"
FAILED = RESULTS + "/.failed"
CODE = MADE + "/code"
CACHE = RESULTS + "/.cache"
LOGS = RESULTS + "/logs"

_OF_MODEL = "{model}/{dataset}/{packing}"
PASSES = {
    "fetch_model": "{model}",
    "train_lm": "{model}",
    "select_checkpoint": "{model}",
    "shuffle_model": "{model}",
    "train_tokenizer": "{tokenizer}",
    "copy_tokenizer": "{tokenizer}",
    "fetch_dataset": "{dataset}",
    "generate_dataset": "{dataset}",
    "sample_dataset": "{dataset}",
    "fetch_prompts": "{prompts}",
    "fetch_labelled": "{labelled}",
    "tokenize_dataset": "{tokenizer}/{dataset}/{packing}",
    "harvest": _OF_MODEL,
    "release_activations": f"{_OF_MODEL}/{{hook}}",
    "train_saes": f"{_OF_MODEL}/{{hook}}",
    "import_saes": f"{_OF_MODEL}/{{hook}}",
    "finetune_saes": f"{_OF_MODEL}/{{hook}}",
    "measure": "{measure}/{model}/{hook}/{eval_dataset}/{eval_packing}",
    "simulate": "{configuration}/{study}",
    "tabulate": "{configuration}/{study}",
    "plot": "{configuration}/{study}",
    "build_report": "{configuration}",
}
"""The rules, which make passes, and the place of a pass: what its results have in common."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]*"
WILDCARDS = {
    "configuration": _NAME,
    "model": _NAME + r"(@[0-9]+)?",
    "tokenizer": _NAME,
    "dataset": _NAME,
    "packing": _NAME,
    "prompts": _NAME,
    "labelled": _NAME,
    "eval_dataset": _NAME,
    "eval_packing": _NAME,
    "hook": r"[a-z_]+(\.[0-9]+)?",
    "sae": rf"{_NAME}(~{_NAME})?",
    "seed": r"[0-9]+",
    "measure": r"[a-z0-9_]+",
    "study": r"[a-z0-9_]+",
    "table": r"[a-z0-9_]+",
    "figure": r"[a-z0-9_]+",
    "plan": r"[0-9a-f]{16}",
}
WILDCARDS |= {other: WILDCARDS[name] for name, other in WITH.items()}
"""What each wildcard may be; no wildcard contains a slash."""


def fill(pattern: str, **values: object) -> Path:
    """Return the path of ``pattern`` with its wildcards replaced."""
    return Path(pattern.format(**values))


def receipt(rule: str) -> str:
    """Return the pattern of the receipt that a pass of a rule leaves: Snakemake's output."""
    return f"{RECEIPTS}/{rule}/{PASSES[rule]}/{{plan}}.json"


def log(rule: str) -> str:
    """Return the pattern of a pass's log."""
    return f"{LOGS}/{rule}/{PASSES[rule]}/{{plan}}.log"


def plan_file(plan: str) -> Path:
    """Return where it is written what a pass is to make."""
    return Path(PLANS) / f"{plan}.json"


def progress_file(plan: str) -> Path:
    """Return where a job says how far it is."""
    return Path(PROGRESS) / f"{plan}.json"


def code_file(digest: str) -> Path:
    """Return where the definitions behind a digest of code are listed."""
    return Path(CODE) / f"{digest[:16]}.json"


def made_file(record: Path, identity: str) -> Path:
    """Return where the description of what a record was made from lies."""
    return Path(MADE) / _of(record, identity)


def failure_file(record: Path, identity: str) -> Path:
    """Return where it is noted why a result could not be made."""
    return Path(FAILED) / _of(record, identity)


def _of(record: Path, identity: str) -> Path:
    relative = Path(record).relative_to(RESULTS)
    return relative.parent / f"{relative.stem}.{identity[:16]}.json"
