"""ICMP errors (RFC 792) about packets that a VIP sent go to the backend that has the flow."""

import follow_quote


def build(case):
    follow_quote.build(case, 4, {"web-1": "192.0.2.11", "web-2": "192.0.2.12", "web-3": "192.0.2.13"})
