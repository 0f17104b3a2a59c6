"""How fast training pictures are made ready, by whole batches and one by one."""
