"""SAEs on disk: ours and those of others, written, read and checked. Read `load.py`."""
