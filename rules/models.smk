rule fetch_model:
    """Fetch a model from the hub or copy a local one."""
    input:
        jobs.before,
    output:
        paths.receipt("fetch_model"),
    log:
        paths.log("fetch_model"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=240,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/fetch_model.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule train_lm:
    """Train a small language model."""
    input:
        jobs.before,
    output:
        paths.receipt("train_lm"),
    log:
        paths.log("train_lm"),
    conda:
        "../envs/torch.yaml"
    threads: CORES
    resources:
        mem_mb=jobs.memory,
        runtime=240,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/train_lm.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule select_checkpoint:
    """Make a model of one checkpoint of a trained model."""
    input:
        jobs.before,
    output:
        paths.receipt("select_checkpoint"),
    log:
        paths.log("select_checkpoint"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=60,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/select_checkpoint.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule shuffle_model:
    """Make a control of a model: its weights with their entries permuted."""
    input:
        jobs.before,
    output:
        paths.receipt("shuffle_model"),
    log:
        paths.log("shuffle_model"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=60,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/shuffle_model.py" {wildcards.plan} {output} --threads {threads} --log {log}'
