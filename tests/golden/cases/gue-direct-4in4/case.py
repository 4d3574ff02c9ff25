"""GUE, variant 1: IP directly in UDP (draft-ietf-intarea-gue-09), IPv4 in IPv4: every byte of the outer headers.
The inner packet is not touched."""

import tunnel


def build(case):
    tunnel.build(case, "gue-direct", 4, 4)
