"""Fragments of IPv6 clients to IPv4 backends, and back: each loses its fragment header, or gets one."""

import family_fragments


def build(case):
    family_fragments.build(case, 6, 4)
