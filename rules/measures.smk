rule measure_reconstruction:
    """Measure what an SAE reconstructs. Wildcards: those of the SAE, eval_dataset, eval_packing."""
    input:
        job=wanted.job(plan.reconstruction),
        records=wanted.records(plan.reconstruction),
    output:
        paths.RECONSTRUCTION,
    log:
        paths.log_pattern(paths.RECONSTRUCTION),
    conda:
        "../envs/torch.yaml"
    threads: max(1, CORES // 2)
    resources:
        **wanted.turns("reconstruction", plan.reconstruction),
        mem_mb=3000,
        runtime=240,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/measure_reconstruction.py" {input.job} --threads {threads} --log {log}'


rule measure_language:
    """Measure the language model with an SAE in place. Wildcards: those of the SAE, eval_dataset, eval_packing."""
    input:
        job=wanted.job(plan.language),
        records=wanted.records(plan.language),
    output:
        paths.LANGUAGE,
    log:
        paths.log_pattern(paths.LANGUAGE),
    conda:
        "../envs/torch.yaml"
    threads: max(1, CORES // 2)
    resources:
        **wanted.turns("language", plan.language),
        mem_mb=4000,
        runtime=240,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/measure_language.py" {input.job} --threads {threads} --log {log}'


rule measure_probes:
    """Have linear probes read what an SAE reconstructs. Wildcards: those of the SAE, eval_dataset, eval_packing."""
    input:
        job=wanted.job(plan.probes),
        records=wanted.records(plan.probes),
    output:
        paths.PROBES,
    log:
        paths.log_pattern(paths.PROBES),
    conda:
        "../envs/torch.yaml"
    threads: max(1, CORES // 2)
    resources:
        **wanted.turns("probes", plan.probes),
        mem_mb=3000,
        runtime=240,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/measure_probes.py" {input.job} --threads {threads} --log {log}'


rule measure_benchmarks:
    """Score a model on the built-in world's prompt sets. Wildcards: model, dataset, packing."""
    input:
        job=wanted.job(plan.benchmarks),
        records=wanted.records(plan.benchmarks),
    output:
        paths.BENCHMARKS,
    log:
        paths.log_pattern(paths.BENCHMARKS),
    conda:
        "../envs/torch.yaml"
    threads: max(1, CORES // 2)
    resources:
        mem_mb=4000,
        runtime=120,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/measure_benchmarks.py" {input.job} --threads {threads} --log {log}'
