rule fetch_dataset:
    """Fetch a dataset from the hub or read a local file. Wildcards: dataset."""
    input:
        job=wanted.job(plan.dataset),
        records=wanted.records(plan.dataset),
    output:
        paths.DATASET,
    log:
        paths.log_pattern(paths.DATASET),
    wildcard_constraints:
        dataset=plan.names("datasets", "hub", "path"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/fetch_dataset.py" {input.job} --threads {threads} --log {log}'


rule generate_dataset:
    """Generate the built-in world. Wildcards: dataset."""
    input:
        job=wanted.job(plan.dataset),
        records=wanted.records(plan.dataset),
    output:
        paths.DATASET,
    log:
        paths.log_pattern(paths.DATASET),
    wildcard_constraints:
        dataset=plan.names("datasets", "generate"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/generate_dataset.py" {input.job} --threads {threads} --log {log}'


rule sample_dataset:
    """Sample documents from a model. Wildcards: dataset."""
    input:
        job=wanted.job(plan.dataset),
        records=wanted.records(plan.dataset),
    output:
        paths.DATASET,
    log:
        paths.log_pattern(paths.DATASET),
    wildcard_constraints:
        dataset=plan.names("datasets", "sample"),
    conda:
        "../envs/torch.yaml"
    threads: CORES
    resources:
        mem_mb=2000,
        runtime=240,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/sample_dataset.py" {input.job} --threads {threads} --log {log}'


rule tokenize_dataset:
    """Cut a dataset into sequences of tokens. Wildcards: tokenizer, dataset, packing."""
    input:
        job=wanted.job(plan.tokens),
        records=wanted.records(plan.tokens),
    output:
        paths.TOKENS,
    log:
        paths.log_pattern(paths.TOKENS),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/tokenize_dataset.py" {input.job} --threads {threads} --log {log}'
