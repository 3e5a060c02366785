"""Low-rank adapters for scarce."""
