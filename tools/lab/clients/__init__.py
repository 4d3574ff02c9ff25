"""Clients: each either a script of its own, started in the client's namespace, or a wrapper of a public tool."""
