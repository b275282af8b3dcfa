rule train_sae:
    """Train an SAE; the first job of a hook trains every wanted one. Wildcards: model, dataset, packing, hook, sae, seed."""
    input:
        job=wanted.job(plan.sae),
        records=wanted.records(plan.sae),
    output:
        paths.SAE,
    log:
        paths.log_pattern(paths.SAE),
    wildcard_constraints:
        sae=plan.recipes(imported=False),
    conda:
        "../envs/torch.yaml"
    threads: max(1, CORES // 2)
    resources:
        **wanted.turns("train", plan.sae),
        mem_mb=wanted.memory(plan.sae, 4000),
        runtime=720,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/train_sae.py" {input.job} --threads {threads} --log {log}'


rule import_sae:
    """Bring an SAE of others, local or from the hub, into our form. Wildcards: model, dataset, packing, hook, sae, seed."""
    input:
        job=wanted.job(plan.sae),
        records=wanted.records(plan.sae),
    output:
        paths.SAE,
    log:
        paths.log_pattern(paths.SAE),
    wildcard_constraints:
        sae=plan.recipes(imported=True),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/import_sae.py" {input.job} --threads {threads} --log {log}'


rule finetune_sae:
    """Fine-tune an SAE without its sparsity penalty. Wildcards: model, dataset, packing, hook, sae (parent~method), seed."""
    input:
        job=wanted.job(plan.sae),
        records=wanted.records(plan.sae),
    output:
        paths.SAE,
    log:
        paths.log_pattern(paths.SAE),
    wildcard_constraints:
        sae=r"[^/~]+~[^/~]+",
    conda:
        "../envs/torch.yaml"
    threads: max(1, CORES // 2)
    resources:
        **wanted.turns("finetune", plan.sae),
        mem_mb=wanted.memory(plan.sae, 4000),
        runtime=720,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/finetune_sae.py" {input.job} --threads {threads} --log {log}'
