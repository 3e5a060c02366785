"""What is done with runs and installations: sweep, compare, verify, doctor, schema."""
