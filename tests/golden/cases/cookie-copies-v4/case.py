"""Resets and ICMP errors over IPv4 that say nothing of their backend: all that a VIP with cookies has get them, as many
as copies_per_s allows."""

import copies


def build(case):
    copies.build(case, 4)
