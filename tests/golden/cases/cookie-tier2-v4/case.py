"""The second of two tiers, IPv4: cookies name backends, whoever began, and SYNs tell this director's id."""

import tiers


def build(case):
    tiers.build(case, 4, 2)
