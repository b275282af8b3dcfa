"""How a method's weights are found: one module per way, loaded by name.

A solver has ``run(works, activations_record, checkpoint_s)``, which finishes the unfinished works
of one hook; see `saeflow.finetune.sweep`.
"""
