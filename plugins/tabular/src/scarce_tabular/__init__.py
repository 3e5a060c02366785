"""Tables for scarce."""
