"""The report: one HTML file that works from disk, without network and without its neighbours."""
