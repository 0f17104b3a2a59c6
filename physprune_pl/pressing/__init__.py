"""The penalty in closed form, and the steering that finds how hard it presses."""
