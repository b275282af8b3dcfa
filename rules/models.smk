rule fetch_model:
    """Fetch a model from the hub or copy a local one. Wildcards: model."""
    input:
        job=wanted.job(plan.model),
        records=ancient(wanted.records(plan.model)),
    output:
        paths.MODEL,
    wildcard_constraints:
        model=plan.names("models", "hub", "path"),
    log:
        paths.log_pattern(paths.MODEL),
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/fetch_model.py {input.job} --threads {threads} --log {log}"


rule train_lm:
    """Train a small language model. Wildcards: model."""
    input:
        job=wanted.job(plan.model),
        records=ancient(wanted.records(plan.model)),
    output:
        paths.MODEL,
    wildcard_constraints:
        model=plan.names("models", "train"),
    log:
        paths.log_pattern(paths.MODEL),
    threads: CORES
    resources:
        mem_mb=3000,
        runtime=240,
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/train_lm.py {input.job} --threads {threads} --log {log}"


rule select_checkpoint:
    """Make a model of one checkpoint of a trained model. Wildcards: model, step."""
    input:
        job=wanted.job(plan.checkpoint),
        records=ancient(wanted.records(plan.checkpoint)),
    output:
        paths.CHECKPOINT,
    wildcard_constraints:
        model=plan.names("models", "train"),
    log:
        paths.log_pattern(paths.CHECKPOINT),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/select_checkpoint.py {input.job} --threads {threads} --log {log}"


rule train_tokenizer:
    """Train a word-level tokenizer. Wildcards: tokenizer."""
    input:
        job=wanted.job(plan.tokenizer),
        records=ancient(wanted.records(plan.tokenizer)),
    output:
        paths.TOKENIZER,
    wildcard_constraints:
        tokenizer=plan.names("tokenizers", "train"),
    log:
        paths.log_pattern(paths.TOKENIZER),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/train_tokenizer.py {input.job} --threads {threads} --log {log}"


rule copy_tokenizer:
    """Take the tokenizer that a model brings. Wildcards: tokenizer."""
    input:
        job=wanted.job(plan.tokenizer),
        records=ancient(wanted.records(plan.tokenizer)),
    output:
        paths.TOKENIZER,
    wildcard_constraints:
        tokenizer=plan.copied_tokenizers(),
    log:
        paths.log_pattern(paths.TOKENIZER),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/copy_tokenizer.py {input.job} --threads {threads} --log {log}"
