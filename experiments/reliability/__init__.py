"""Fits under every setting of a Trainer, and fits that are killed, resumed, or run again and again."""
