localrules:
    models,


rule models:
    """Make the tables and figures of the study of the language models."""
    input:
        branch(
            "models" in outputs.studies,
            then=lambda wildcards: list(outputs.targets("models")),
            otherwise=[],
        ),


rule tabulate_models:
    """Make a table of the study of the language models. Wildcards: table."""
    input:
        job=wanted.job(partial(outputs.table, "models")),
        records=wanted.records(partial(outputs.table, "models")),
    output:
        paths.of_study(paths.TABLE, "models", ".json"),
        paths.of_study(paths.TABLE, "models", ".csv"),
    log:
        paths.log_pattern(paths.of_study(paths.TABLE, "models")),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/tabulate_models.py" {input.job} --threads {threads} --log {log}'


rule plot_models:
    """Draw a figure of the study of the language models. Wildcards: figure."""
    input:
        job=wanted.job(partial(outputs.figure, "models")),
        records=wanted.records(partial(outputs.figure, "models")),
    output:
        paths.of_study(paths.FIGURE, "models", ".json"),
        paths.of_study(paths.FIGURE, "models", ".pdf"),
        report(
            paths.of_study(paths.FIGURE, "models", ".png"),
            caption="../workflow/report/figure.rst",
            category="models",
            labels={"figure": "{figure}"},
        ),
    log:
        paths.log_pattern(paths.of_study(paths.FIGURE, "models")),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/plot_models.py" {input.job} --threads {threads} --log {log}'
