"""What an SAE's error does in later layers."""
