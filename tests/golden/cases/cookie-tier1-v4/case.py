"""The first of two tiers, IPv4: cookies name tier-2 directors, whatever they say of backends, without state."""

import tiers


def build(case):
    tiers.build(case, 4, 1)
