"""Fine-tuning of trained sparse autoencoders without the sparsity term."""
