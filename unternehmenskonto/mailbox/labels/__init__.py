"""The company's own labels on messages."""
