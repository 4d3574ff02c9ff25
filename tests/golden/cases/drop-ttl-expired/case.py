"""An ICMP error about a flow with NAT that has no hop left is dropped: no error about an error (RFC 1122, section
3.2.2)."""

import icmp_errors
import kit
import nat


def build(case):
    for family in (4, 6):
        case.pool(f"web{family}", {"web-1": nat.BACKENDS[family]})
        case.vip(f"www{family}", nat.VIPS[family], "tcp", 80, f"web{family}", "nat")
        for hops in (0, 1):
            for header in icmp_errors.kinds(family):
                quote = icmp_errors.quote(family, 40000)
                error = icmp_errors.error(family, header, quote, hops=hops)
                case.send(kit.ether_in() / error).dropped(
                    "ttl_expired", f"www{family}", f"web{family}/web-1", "scheduler_no_entry"
                )
