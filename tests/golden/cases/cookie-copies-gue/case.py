"""Resets and ICMP errors that say nothing of their backend, through tunnels: each copy has its own outer header."""

import copies


def build(case):
    copies.build(case, 6, mode="gue")
