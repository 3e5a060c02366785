"""Generated privileged information, for scarce."""
