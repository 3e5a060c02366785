"""Small text-to-image generators that ship with their weights, for scarce."""
