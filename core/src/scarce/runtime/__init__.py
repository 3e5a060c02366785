"""The shared runtime: device, seeds, training loop, checkpoints, progress."""
