rule fetch_dataset:
    """Fetch a dataset from the hub or read a local file."""
    input:
        jobs.before,
    output:
        paths.receipt("fetch_dataset"),
    log:
        paths.log("fetch_dataset"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=240,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/fetch_dataset.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule generate_dataset:
    """Generate the built-in world."""
    input:
        jobs.before,
    output:
        paths.receipt("generate_dataset"),
    log:
        paths.log("generate_dataset"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=60,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/generate_dataset.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule sample_dataset:
    """Sample documents from a model."""
    input:
        jobs.before,
    output:
        paths.receipt("sample_dataset"),
    log:
        paths.log("sample_dataset"),
    conda:
        "../envs/torch.yaml"
    threads: CORES
    resources:
        mem_mb=jobs.memory,
        runtime=240,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/sample_dataset.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule fetch_prompts:
    """Fetch prompts from the hub, read local files, or generate them."""
    input:
        jobs.before,
    output:
        paths.receipt("fetch_prompts"),
    log:
        paths.log("fetch_prompts"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=60,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/fetch_prompts.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule fetch_labelled:
    """Fetch labelled texts from the hub, read local files, or generate them."""
    input:
        jobs.before,
    output:
        paths.receipt("fetch_labelled"),
    log:
        paths.log("fetch_labelled"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=60,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/fetch_labelled.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule train_tokenizer:
    """Train a word-level tokenizer."""
    input:
        jobs.before,
    output:
        paths.receipt("train_tokenizer"),
    log:
        paths.log("train_tokenizer"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=60,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/train_tokenizer.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule copy_tokenizer:
    """Take the tokenizer that a model brings."""
    input:
        jobs.before,
    output:
        paths.receipt("copy_tokenizer"),
    log:
        paths.log("copy_tokenizer"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=60,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/copy_tokenizer.py" {wildcards.plan} {output} --threads {threads} --log {log}'


rule tokenize_dataset:
    """Cut a dataset into sequences of tokens."""
    input:
        jobs.before,
    output:
        paths.receipt("tokenize_dataset"),
    log:
        paths.log("tokenize_dataset"),
    conda:
        "../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=jobs.memory,
        runtime=60,
    shell:
        'exec "$SAEFLOW_PYTHON" -P "$SAEFLOW_SCRIPTS/tokenize_dataset.py" {wildcards.plan} {output} --threads {threads} --log {log}'
