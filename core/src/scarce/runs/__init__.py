"""From recipe to report."""
