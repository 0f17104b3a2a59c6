"""What the callbacks know of Lightning's trainer, its private parts included."""
