"""A VIP that is an IPv4 prefix whose length is no multiple of eight."""

import prefix_vip


def build(case):
    prefix_vip.build(
        case,
        "203.0.113.128/26",
        backends={"a": "192.0.2.11", "b": "192.0.2.12"},
        inside=["203.0.113.128", "203.0.113.129", "203.0.113.170", "203.0.113.191"],
        outside=["203.0.113.127", "203.0.113.192", "203.0.112.129"],
    )
