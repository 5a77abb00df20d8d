"""The suite of the data paths."""
