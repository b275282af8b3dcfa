"""The methods of the feature suppression post, one per module, loaded by name.

A method's TRAINABLE names what it moves: "scale", the factor per latent, first, then weights.
None stands for all weights under the SAE's own loss.
"""
