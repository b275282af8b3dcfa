rule harvest:
    """Store the activations of every wanted hook in one pass of the model."""
    input:
        jobs.before,
    output:
        paths.receipt("harvest"),
    log:
        paths.log("harvest"),
    conda:
        "../envs/torch.yaml"
    threads: CORES
    resources:
        mem_mb=jobs.memory,
        runtime=720,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/harvest.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule release_activations:
    """Remove a temporary store after its last reader."""
    input:
        jobs.before,
    output:
        paths.receipt("release_activations"),
    log:
        paths.log("release_activations"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=30,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/release_activations.py" {wildcards.plan} {output} --threads {threads} --log {log}'
