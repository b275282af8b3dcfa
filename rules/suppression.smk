def suppression_table(table):
    return outputs.table("suppression", table)


def suppression_figure(figure):
    return outputs.figure("suppression", figure)


SUPPRESSION_TABLE = paths.TABLE.replace("{study}", "suppression")
SUPPRESSION_FIGURE = paths.FIGURE.replace("{study}", "suppression")


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
        SUPPRESSION_TABLE + ".json",
        SUPPRESSION_TABLE + ".csv",
    log:
        paths.log_pattern(SUPPRESSION_TABLE),
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
        SUPPRESSION_FIGURE + ".json",
        SUPPRESSION_FIGURE + ".pdf",
        report(
            SUPPRESSION_FIGURE + ".png",
            caption="../workflow/report/figure.rst",
            category="suppression",
            labels={"figure": "{figure}"},
        ),
    log:
        paths.log_pattern(SUPPRESSION_FIGURE),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        "{PY} {SCRIPTS}/plot_suppression.py {input.job} --threads {threads} --log {log}"
