"""The three lines in front of modules of other libraries."""
