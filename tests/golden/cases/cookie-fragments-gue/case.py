"""Fragments of connections with cookies in a tunnel: each has an outer header of its own, to the backend that the first
one's cookie names."""

import cookie_fragments


def build(case):
    cookie_fragments.build(case, 4, mode="gue")
