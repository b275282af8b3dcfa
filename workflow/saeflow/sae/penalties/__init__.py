"""Further terms of a loss, one per module, loaded by name: ``penalties: {NAME: coefficient}``.

A module has ``add(coefficient, sae, gradients, batch, state, terms) -> float``: it adds its
gradients to those that the architecture's step wrote (``gradients``, by name, with the strides of
the weights) and returns its value, coefficient included. ``sae`` is the `saeflow.sae.model.SAE` of
the weights in training, ``terms`` what the step measured. Like a step it is a function of its
arguments alone.
"""
