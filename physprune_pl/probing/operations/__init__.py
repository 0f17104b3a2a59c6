"""The table of operations: what each does to channels, and so how it is watched."""
