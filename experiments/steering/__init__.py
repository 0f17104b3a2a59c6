"""What steering is made of, part by part: each variant changes one thing."""
