"""All force laws on CIFAR-10."""
