"""ICMP errors to a VIP that quote no packet of it, or none that can be read: dropped, so that nobody has other flows'
backends hear them."""

import icmp_errors
import kit
from scapy.all import IP, TCP, IPv6

OTHERS = {4: "203.0.113.11", 6: "2001:db8:f::11"}
NO_VIP = {4: "203.0.113.99", 6: "2001:db8:f::99"}


def build(case):
    for family, address in ((4, "192.0.2.11"), (6, "2001:db8::11")):
        case.pool(f"web{family}", {"web-1": address})
        case.vip(f"www{family}", icmp_errors.VIPS[family], "tcp", 80, f"web{family}", "l2")
        case.vip(f"other{family}", OTHERS[family], "tcp", 80, f"web{family}", "l2")
        client, vip = icmp_errors.CLIENTS[family], icmp_errors.VIPS[family]
        for target, name in ((vip, "www"), (OTHERS[family], "other")):
            packet = (IP if family == 4 else IPv6)(src=client, dst=target) / TCP(sport=5, dport=80, flags="S")
            case.send(kit.ether_in() / packet).forwarded(
                kit.ether_out(address) / packet, f"{name}{family}", f"web{family}/web-1"
            )

        def refused(quoted, reason="vip_icmp", **fields):
            error = icmp_errors.error(family, next(icmp_errors.kinds(family)), quoted, **fields)
            case.send(kit.ether_in() / error).dropped(reason)

        quoted = icmp_errors.quote(family, 5)
        header_bytes = 20 if family == 4 else 40
        refused(icmp_errors.quote(family, 5, source=OTHERS[family]))  # another VIP's
        refused(icmp_errors.quote(family, 5, source=NO_VIP[family]))
        refused(bytes((IP if family == 4 else IPv6)(src=client, dst=vip) / TCP(sport=5, dport=80)))  # to the VIP
        refused(icmp_errors.quote(family, 5, vip_port=81))  # not served
        refused(icmp_errors.quote(family, 5, protocol="udp"))
        refused(quoted[: header_bytes + 7])
        refused(quoted[:header_bytes])
        refused(quoted[: header_bytes - 1])
        refused(b"")
        refused(bytes([quoted[0] ^ 0x20]) + quoted[1:])  # IP version
        at = 9 if family == 4 else 6
        refused(quoted[:at] + b"\x32" + quoted[at + 1 :])  # ESP: no ports
        if family == 4:
            refused(b"\x44" + quoted[1:])  # a header of 16 bytes
            refused(icmp_errors.quote(4, 5, frag=1))  # not the first fragment: no ports
        refused(quoted, "martian_source", source="127.0.0.1" if family == 4 else "::1")
        refused(quoted, "martian_source", source=vip)
