"""What the model's loss gains when a latent is taken out: of all by gradients, of some exactly.

Latent i contributes c_ti w_i to the reconstruction of token t: w_i is its decoder row, c_ti its
activation, times the scale that the SAE puts back where it prepares its inputs. Without it, the
activations at the hook are a_t - c_ti w_i: all that the SAE does not reconstruct stays in them.
"""
