"""Images for scarce."""
