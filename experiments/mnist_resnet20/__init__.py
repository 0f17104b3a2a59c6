"""ResNet-20 on MNIST."""
