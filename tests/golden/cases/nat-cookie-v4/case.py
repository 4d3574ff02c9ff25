"""Cookies with destination NAT, IPv4: made and taken out by the director, for connections that it has, for those that
another one had, and for those whose backend speaks first."""

import nat_cookies


def build(case):
    nat_cookies.build(case, 4)
