rule harvest_activations:
    """Store the activations of a hook; the first job stores those of every wanted hook. Wildcards: model, dataset, packing, hook."""
    input:
        job=wanted.job(plan.activations),
        records=wanted.records(plan.activations),
    output:
        paths.ACTIVATIONS,
    log:
        paths.log_pattern(paths.ACTIVATIONS),
    conda:
        "../envs/torch.yaml"
    threads: CORES
    resources:
        **wanted.turns("harvest", plan.activations),
        mem_mb=4000,
        runtime=720,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/harvest_activations.py" {input.job} --threads {threads} --log {log}'
