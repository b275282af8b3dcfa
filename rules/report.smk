rule build_report:
    """Build the report from every study's figures and tables."""
    input:
        jobs.before,
    output:
        paths.receipt("build_report"),
    log:
        paths.log("build_report"),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=30,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/build_report.py" {wildcards.plan} {output} --threads {threads} --log {log}'
