"""How a method's weights are found: one module per way, loaded by name.

A solver has ``run(tasks, checkpoint_s)``, which finishes the tasks, or lets them fail one by one;
all have the same inputs but for ``parent``. See `saeflow.finetune.sweep`.
"""
