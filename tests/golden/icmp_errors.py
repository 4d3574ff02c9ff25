"""ICMP errors about packets of a VIP, as routers between it and a client send them."""

import kit
from scapy.all import (
    ICMP,
    IP,
    TCP,
    UDP,
    ICMPv6DestUnreach,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
    Raw,
)

ROUTERS = {4: "198.51.100.1", 6: "2001:db8:c::1"}
CLIENTS = {4: kit.CLIENT_V4, 6: kit.CLIENT_V6}
VIPS = {4: kit.VIP_V4, 6: kit.VIP_V6}


def quote(family, client_port, vip_port=80, protocol="tcp", source=None, **fields):
    """What a VIP's backend sent to the client: the packet that errors are about."""
    ip = (IP if family == 4 else IPv6)(src=source or VIPS[family], dst=CLIENTS[family], **fields)
    l4 = TCP(flags="A") if protocol == "tcp" else UDP()
    l4.sport, l4.dport = vip_port, client_port
    return bytes(ip / l4 / Raw(b"answer" * 20))


def kinds(family):
    """ICMP headers of all errors that backends should learn of."""
    if family == 4:
        yield ICMP(type=3, code=4, nexthopmtu=1400)
        for code in (0, 1, 3, 13):
            yield ICMP(type=3, code=code)
        yield ICMP(type=11, code=0)
        yield ICMP(type=12, code=0, ptr=1)
    else:
        yield ICMPv6PacketTooBig(mtu=1400)
        for code in (0, 1, 3, 4):
            yield ICMPv6DestUnreach(code=code)
        yield ICMPv6TimeExceeded(code=0)
        yield ICMPv6ParamProblem(code=1, ptr=6)


def error(family, header, quoted, destination=None, source=None, hops=64):
    """The error packet, as it gets to the director."""
    ip = IP if family == 4 else IPv6
    fields = {"ttl" if family == 4 else "hlim": hops}
    return ip(src=source or ROUTERS[family], dst=destination or VIPS[family], **fields) / header / Raw(quoted)
