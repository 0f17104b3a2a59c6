"""Which structures and traps the tracer cuts right, and which it leaves whole."""
