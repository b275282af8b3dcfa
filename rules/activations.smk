rule harvest_activations:
    """Store the activations of a hook; the first job stores those of every wanted hook. Wildcards: model, dataset, packing, hook."""
    input:
        job=wanted.job(plan.activations),
        records=ancient(wanted.records(plan.activations)),
    output:
        paths.ACTIVATIONS,
    log:
        paths.log_pattern(paths.ACTIVATIONS),
    threads: CORES
    resources:
        mem_mb=4000,
        runtime=720,
        **wanted.turns("harvest", plan.activations),
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/harvest_activations.py {input.job} --threads {threads} --log {log}"
