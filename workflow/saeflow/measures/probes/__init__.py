"""What linear probes read in reconstructions."""
