"""All force laws on handwritten digits."""
