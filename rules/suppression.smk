def suppression_table(table):
    return outputs.table("suppression", table)


def suppression_figure(figure):
    return outputs.figure("suppression", figure)


TABLE = paths.TABLE.replace("{study}", "suppression")
FIGURE = paths.FIGURE.replace("{study}", "suppression")


localrules:
    suppression,


rule suppression:
    """Make the tables and figures of the suppression study."""
    input:
        branch(
            "suppression" in outputs.studies,
            then=lambda wildcards: list(outputs.targets("suppression")),
            otherwise=[],
        ),


rule tabulate_suppression:
    """Make a table of the suppression study. Wildcards: table."""
    input:
        job=wanted.job(suppression_table),
        records=wanted.records(suppression_table),
    output:
        TABLE + ".json",
        TABLE + ".csv",
    log:
        paths.log_pattern(TABLE),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "{PY} {SCRIPTS}/tabulate_suppression.py {input.job} --threads {threads} --log {log}"


rule plot_suppression:
    """Draw a figure of the suppression study. Wildcards: figure."""
    input:
        job=wanted.job(suppression_figure),
        records=wanted.records(suppression_figure),
    output:
        FIGURE + ".json",
        FIGURE + ".pdf",
        FIGURE + ".png",
    log:
        paths.log_pattern(FIGURE),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "{PY} {SCRIPTS}/plot_suppression.py {input.job} --threads {threads} --log {log}"
