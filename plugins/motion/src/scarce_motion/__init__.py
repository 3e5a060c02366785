"""Human motion for scarce."""
