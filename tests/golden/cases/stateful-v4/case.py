"""Slots, IPv4: SYNs tell them, echoes name them, changes of the pool and made-up numbers do not move a
connection, and they end by their timeouts and with their backend."""

import stateful


def build(case):
    stateful.build(case, 4)
