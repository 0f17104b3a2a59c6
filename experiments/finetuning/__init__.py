"""At which learning rate a cut network is fine-tuned best."""
