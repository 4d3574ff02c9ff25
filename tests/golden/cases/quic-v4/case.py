"""QUIC, IPv4: packets go by the server ids in their connection ids, whatever address they come from."""

import quic


def build(case):
    quic.build(case, 4)
