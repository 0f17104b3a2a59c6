"""The comparisons that need a GPU, several runs side by side on one."""
