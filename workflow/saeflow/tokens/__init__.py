"""Tokens: documents cut into sequences, with every token's document, position and flags."""
