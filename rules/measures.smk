rule measure:
    """Add up what a measure needs, of every wanted SAE of a hook, or of a model."""
    input:
        jobs.before,
    output:
        paths.receipt("measure"),
    log:
        paths.log("measure"),
    conda:
        "../envs/torch.yaml"
    threads: max(1, CORES // 2)
    resources:
        mem_mb=jobs.memory,
        runtime=240,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/measure.py" {wildcards.plan} {output} --threads {threads} --log {log}'
