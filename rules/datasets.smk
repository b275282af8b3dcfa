rule fetch_dataset:
    """Fetch a dataset from the hub or read a local file. Wildcards: dataset."""
    input:
        job=wanted.job(plan.dataset),
        records=ancient(wanted.records(plan.dataset)),
    output:
        paths.DATASET,
    wildcard_constraints:
        dataset=plan.names("datasets", "hub", "path"),
    log:
        paths.log_pattern(paths.DATASET),
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/fetch_dataset.py {input.job} --threads {threads} --log {log}"


rule generate_dataset:
    """Generate the built-in world. Wildcards: dataset."""
    input:
        job=wanted.job(plan.dataset),
        records=ancient(wanted.records(plan.dataset)),
    output:
        paths.DATASET,
    wildcard_constraints:
        dataset=plan.names("datasets", "generate"),
    log:
        paths.log_pattern(paths.DATASET),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/generate_dataset.py {input.job} --threads {threads} --log {log}"


rule sample_dataset:
    """Sample documents from a model. Wildcards: dataset."""
    input:
        job=wanted.job(plan.dataset),
        records=ancient(wanted.records(plan.dataset)),
    output:
        paths.DATASET,
    wildcard_constraints:
        dataset=plan.names("datasets", "sample"),
    log:
        paths.log_pattern(paths.DATASET),
    threads: CORES
    resources:
        mem_mb=2000,
        runtime=240,
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/sample_dataset.py {input.job} --threads {threads} --log {log}"


rule tokenize_dataset:
    """Cut a dataset into sequences of tokens. Wildcards: tokenizer, dataset, packing."""
    input:
        job=wanted.job(plan.tokens),
        records=ancient(wanted.records(plan.tokens)),
    output:
        paths.TOKENS,
    log:
        paths.log_pattern(paths.TOKENS),
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/tokenize_dataset.py {input.job} --threads {threads} --log {log}"
