"""Linear torque on VGG-16, in miniature."""
