"""ICMP errors (RFC 4443) about packets that a VIP sent go to the backend that has the flow."""

import follow_quote


def build(case):
    follow_quote.build(case, 6, {"web-1": "2001:db8::11", "web-2": "2001:db8::12", "web-3": "2001:db8::13"})
