localrules:
    release_activations,


rule harvest_activations:
    """Store the activations of a hook; the first job stores those of every wanted hook. Wildcards: model, dataset, packing, hook."""
    input:
        job=wanted.job(plan.activations),
        records=wanted.records(plan.activations, before=outputs.parts.of),
    output:
        paths.ACTIVATIONS,
    log:
        paths.log_pattern(paths.ACTIVATIONS),
    conda:
        "../envs/torch.yaml"
    threads: CORES
    resources:
        **wanted.turns("harvest", plan.activations),
        mem_mb=wanted.memory(plan.activations, 4000),
        runtime=720,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/harvest_activations.py" {input.job} --threads {threads} --log {log}'


rule harvest_part:
    """Store a part of the shards of every wanted hook (harvest.jobs). Wildcards: model, dataset, packing, part, of."""
    input:
        job=wanted.job(outputs.parts.find),
        records=wanted.records(outputs.parts.find),
    output:
        paths.PART,
    log:
        paths.log_pattern(paths.PART),
    conda:
        "../envs/torch.yaml"
    threads: CORES
    resources:
        mem_mb=wanted.memory(outputs.parts.find, 4000),
        runtime=720,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/harvest_part.py" {input.job} --threads {threads} --log {log}'


rule release_activations:
    """Remove a temporary store after its last reader. Wildcards: model, dataset, packing, hook."""
    input:
        job=wanted.job(outputs.release),
        records=wanted.records(outputs.release),
    output:
        paths.RELEASED_ACTIVATIONS,
    log:
        paths.log_pattern(paths.RELEASED_ACTIVATIONS),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=30,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/release_activations.py" {input.job} --threads {threads} --log {log}'
