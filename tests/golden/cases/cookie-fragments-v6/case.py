"""Fragments of connections with cookies, IPv6, in all orders: they follow the first one, which has the cookie."""

import cookie_fragments


def build(case):
    cookie_fragments.build(case, 6)
