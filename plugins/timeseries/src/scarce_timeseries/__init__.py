"""Time series for scarce."""
