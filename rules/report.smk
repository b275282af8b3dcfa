rule build_report:
    """Build the report from every study's figures and tables."""
    input:
        job=wanted.job(outputs.report),
        records=wanted.records(outputs.report),
    output:
        paths.REPORT_RECORD,
        paths.REPORT,
    log:
        paths.log_pattern(paths.REPORT_RECORD),
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    shell:
        '"$SAEFLOW_PYTHON" "$SAEFLOW_SCRIPTS/build_report.py" {input.job} --threads {threads} --log {log}'
