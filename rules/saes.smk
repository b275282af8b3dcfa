rule train_sae:
    """Train an SAE; the first job of a hook trains every wanted one. Wildcards: model, dataset, packing, hook, sae, seed."""
    input:
        job=wanted.job(plan.sae),
        records=ancient(wanted.records(plan.sae)),
    output:
        paths.SAE,
    wildcard_constraints:
        sae=plan.names("saes"),
    log:
        paths.log_pattern(paths.SAE),
    threads: max(1, CORES // 2)
    resources:
        mem_mb=4000,
        runtime=720,
        **wanted.turns("train", plan.sae),
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/train_sae.py {input.job} --threads {threads} --log {log}"


rule finetune_sae:
    """Fine-tune an SAE without its sparsity penalty. Wildcards: model, dataset, packing, hook, sae (parent~method), seed."""
    input:
        job=wanted.job(plan.sae),
        records=ancient(wanted.records(plan.sae)),
    output:
        paths.SAE,
    wildcard_constraints:
        sae=r"[^/~]+~[^/~]+",
    log:
        paths.log_pattern(paths.SAE),
    threads: max(1, CORES // 2)
    resources:
        mem_mb=4000,
        runtime=720,
        **wanted.turns("finetune", plan.sae),
    conda:
        "../envs/torch.yaml"
    shell:
        "{PY} {SCRIPTS}/finetune_sae.py {input.job} --threads {threads} --log {log}"
