"""Small servers, each a script of its own, started in a namespace."""
