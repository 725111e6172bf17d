"""Studies: one file a paper, found by scanning this folder. Each defines `STUDY`."""
