rule simulate:
    """Train the toys of a study's theory."""
    input:
        jobs.before,
    output:
        paths.receipt("simulate"),
    log:
        paths.log("simulate"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=30,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/simulate.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule tabulate:
    """Make the tables of a study."""
    input:
        jobs.before,
    output:
        paths.receipt("tabulate"),
    log:
        paths.log("tabulate"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=30,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/tabulate.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule plot:
    """Draw the figures of a study."""
    input:
        jobs.before,
    output:
        paths.receipt("plot"),
    log:
        paths.log("plot"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=30,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/plot.py" {wildcards.plan} {output} --threads {threads} --log {log}'
