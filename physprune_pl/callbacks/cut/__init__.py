"""The cut inside a fit: what goes, the surgery, the checks after it."""
