"""What tracing networks of full size costs."""
