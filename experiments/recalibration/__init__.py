"""Whether recomputing the statistics of batch norms after the cut helps."""
