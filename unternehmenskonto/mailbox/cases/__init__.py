"""Vorgänge: what services tell of the state of applications, with the messages that belong to them."""
