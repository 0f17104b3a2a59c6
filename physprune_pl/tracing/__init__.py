"""Many watched runs become groups of channels, and every group is checked."""
