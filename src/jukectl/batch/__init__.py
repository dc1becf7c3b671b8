"""Many songs of one manifest: checked together, sampled in shared batches by several processes."""
