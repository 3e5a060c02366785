"""The core's own modality-free components."""
