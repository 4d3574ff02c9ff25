"""A VIP that is an IPv6 prefix whose length is no multiple of eight."""

import prefix_vip


def build(case):
    prefix_vip.build(
        case,
        "2001:db8:f:8::/61",
        backends={"a": "2001:db8::11", "b": "2001:db8::12"},
        inside=["2001:db8:f:8::", "2001:db8:f:8::1", "2001:db8:f:c:5::1", "2001:db8:f:f:ffff:ffff:ffff:ffff"],
        outside=["2001:db8:f:7:ffff:ffff:ffff:ffff", "2001:db8:f:10::", "2001:db8:e:8::1"],
    )
