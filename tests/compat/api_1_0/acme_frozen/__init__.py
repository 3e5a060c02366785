"""A plugin of every role, as someone else wrote it for contract 1.0."""
