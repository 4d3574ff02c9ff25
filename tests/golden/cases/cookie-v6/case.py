"""Cookies, IPv6: they decide before the table and the hash, what is none makes no state, and what carries none (SYNs,
RSTs, clients without timestamps, ICMP errors with short quotes) goes as without cookies."""

import cookies


def build(case):
    cookies.build(case, 6)
