"""Fragments of IPv4 clients to IPv6 backends, and back: each gets a fragment header, or loses it."""

import family_fragments


def build(case):
    family_fragments.build(case, 4, 6)
