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


rule simulate_suppression:
    """Train the toys of the theory of suppression."""
    input:
        job=wanted.job(partial(plan.simulation, "suppression")),
    output:
        paths.of_study(paths.SIMULATION, "suppression"),
        paths.of_study(paths.SIMULATION, "suppression").replace(".json", ".csv"),
    log:
        paths.log_pattern(paths.of_study(paths.SIMULATION, "suppression")),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/simulate_suppression.py" {input.job} --threads {threads} --log {log}'


rule tabulate_suppression:
    """Make a table of the suppression study. Wildcards: table."""
    input:
        job=wanted.job(partial(outputs.table, "suppression")),
        records=wanted.records(partial(outputs.table, "suppression")),
    output:
        paths.of_study(paths.TABLE, "suppression", ".json"),
        paths.of_study(paths.TABLE, "suppression", ".csv"),
    log:
        paths.log_pattern(paths.of_study(paths.TABLE, "suppression")),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/tabulate_suppression.py" {input.job} --threads {threads} --log {log}'


rule plot_suppression:
    """Draw a figure of the suppression study. Wildcards: figure."""
    input:
        job=wanted.job(partial(outputs.figure, "suppression")),
        records=wanted.records(partial(outputs.figure, "suppression")),
    output:
        paths.of_study(paths.FIGURE, "suppression", ".json"),
        paths.of_study(paths.FIGURE, "suppression", ".pdf"),
        report(
            paths.of_study(paths.FIGURE, "suppression", ".png"),
            caption="../workflow/report/figure.rst",
            category="suppression",
            labels={"figure": "{figure}"},
        ),
    log:
        paths.log_pattern(paths.of_study(paths.FIGURE, "suppression")),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/plot_suppression.py" {input.job} --threads {threads} --log {log}'
