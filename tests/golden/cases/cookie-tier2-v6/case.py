"""The second of two tiers, IPv6: cookies name backends, whoever began, and SYNs tell this director's id."""

import tiers


def build(case):
    tiers.build(case, 6, 2)
