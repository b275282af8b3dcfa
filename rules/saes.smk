rule train_saes:
    """Train every wanted SAE of a hook in one pass over its activations."""
    input:
        jobs.before,
    output:
        paths.receipt("train_saes"),
    log:
        paths.log("train_saes"),
    # What most others wait for goes first: short passes are left to fill the end.
    priority: 20
    conda:
        "../envs/torch.yaml"
    threads: max(1, CORES // 2)
    resources:
        mem_mb=jobs.memory,
        runtime=720,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/train_saes.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule import_saes:
    """Bring SAEs of others, local or from the hub, into our form."""
    input:
        jobs.before,
    output:
        paths.receipt("import_saes"),
    log:
        paths.log("import_saes"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=120,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/import_saes.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule finetune_saes:
    """Fine-tune every wanted SAE of a hook without its sparsity penalty."""
    input:
        jobs.before,
    output:
        paths.receipt("finetune_saes"),
    log:
        paths.log("finetune_saes"),
    priority: 10
    conda:
        "../envs/torch.yaml"
    threads: max(1, CORES // 2)
    resources:
        mem_mb=jobs.memory,
        runtime=720,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/finetune_saes.py" {wildcards.plan} {output} --threads {threads} --log {log}'
