"""The settings of the papers, as far as they are known."""
