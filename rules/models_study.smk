def models_table(table):
    return outputs.table("models", table)


def models_figure(figure):
    return outputs.figure("models", figure)


MODELS_TABLE = paths.TABLE.replace("{study}", "models")
MODELS_FIGURE = paths.FIGURE.replace("{study}", "models")


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
        job=wanted.job(models_table),
        records=wanted.records(models_table),
    output:
        MODELS_TABLE + ".json",
        MODELS_TABLE + ".csv",
    log:
        paths.log_pattern(MODELS_TABLE),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "{PY} {SCRIPTS}/tabulate_models.py {input.job} --threads {threads} --log {log}"


rule plot_models:
    """Draw a figure of the study of the language models. Wildcards: figure."""
    input:
        job=wanted.job(models_figure),
        records=wanted.records(models_figure),
    output:
        MODELS_FIGURE + ".json",
        MODELS_FIGURE + ".pdf",
        report(
            MODELS_FIGURE + ".png",
            caption="../workflow/report/figure.rst",
            category="models",
            labels={"figure": "{figure}"},
        ),
    log:
        paths.log_pattern(MODELS_FIGURE),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "{PY} {SCRIPTS}/plot_models.py {input.job} --threads {threads} --log {log}"
