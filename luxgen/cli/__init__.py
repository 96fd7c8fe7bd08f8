"""The luxgen command."""
