"""Text control with little labelled data, for scarce."""
