"""All force laws on MNIST."""
