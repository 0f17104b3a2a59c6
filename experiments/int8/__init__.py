"""What int8 quantisation after pruning costs and brings."""
