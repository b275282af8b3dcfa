rule fetch_model:
    """Fetch a model from the hub or copy a local one. Wildcards: model."""
    input:
        job=wanted.job(plan.model),
        records=wanted.records(plan.model),
    output:
        paths.MODEL,
    log:
        paths.log_pattern(paths.MODEL),
    wildcard_constraints:
        model=plan.names("models", "hub", "path"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/fetch_model.py" {input.job} --threads {threads} --log {log}'


rule train_lm:
    """Train a small language model. Wildcards: model."""
    input:
        job=wanted.job(plan.model),
        records=wanted.records(plan.model),
    output:
        paths.MODEL,
    log:
        paths.log_pattern(paths.MODEL),
    wildcard_constraints:
        model=plan.names("models", "train"),
    conda:
        "../envs/torch.yaml"
    threads: CORES
    resources:
        mem_mb=3000,
        runtime=240,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/train_lm.py" {input.job} --threads {threads} --log {log}'


rule select_checkpoint:
    """Make a model of one checkpoint of a trained model. Wildcards: model, step."""
    input:
        job=wanted.job(plan.checkpoint),
        records=wanted.records(plan.checkpoint),
    output:
        paths.CHECKPOINT,
    log:
        paths.log_pattern(paths.CHECKPOINT),
    wildcard_constraints:
        model=plan.names("models", "train"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/select_checkpoint.py" {input.job} --threads {threads} --log {log}'


rule train_tokenizer:
    """Train a word-level tokenizer. Wildcards: tokenizer."""
    input:
        job=wanted.job(plan.tokenizer),
        records=wanted.records(plan.tokenizer),
    output:
        paths.TOKENIZER,
    log:
        paths.log_pattern(paths.TOKENIZER),
    wildcard_constraints:
        tokenizer=plan.names("tokenizers", "train"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/train_tokenizer.py" {input.job} --threads {threads} --log {log}'


rule copy_tokenizer:
    """Take the tokenizer that a model brings. Wildcards: tokenizer."""
    input:
        job=wanted.job(plan.tokenizer),
        records=wanted.records(plan.tokenizer),
    output:
        paths.TOKENIZER,
    log:
        paths.log_pattern(paths.TOKENIZER),
    wildcard_constraints:
        tokenizer=plan.copied_tokenizers(),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/copy_tokenizer.py" {input.job} --threads {threads} --log {log}'
