"""Two tiers: the first sends by the tier-2 id in the cookie to directors, each of which is found by its MAC address;
the second by the backend's id, and tells backends its own id in SYNs."""

import cookies
import kit
from scapy.all import IP, IPv6

MARK = 0x5D
TIER_ID = 5
WIDTHS = {"tier_bits": 3, "backend_bits": 8, "check_bits": 2}
# By what cookies name them at either tier; both are pools of the same addresses here.
IDS = {1: {"web-1": 2, "web-2": 7, "web-3": 0}, 2: {"web-1": 5, "web-2": 200, "web-3": 0}}


class Tier(cookies.Cookies):
    """A VIP of this tier over three tier-2 directors or backends."""

    def __init__(self, case, family, tier):  # pylint: disable=super-init-not-called
        self.case, self.family, self.tier = case, family, tier
        self.copies = tier == 2  # any tier-2 director copies it to all backends
        self.ip = IP if family == 4 else IPv6
        self.ids = IDS[tier]
        self.addresses = dict(cookies.BACKENDS[family])
        case.pool("web", {name: {"address": to, "cookie_id": self.ids[name]} for name, to in self.addresses.items()})
        case.vip("www", cookies.VIPS[family], "tcp", 80, "web", "l2", consistency="cookie",
                 cookie={"tier": tier, **WIDTHS})
        case.services["cookie_keys"] = [{"number": 0, "file": cookies.KEY_FILES[0]}]
        if tier == 2:
            case.node["tier_id"] = TIER_ID
        self.schedule_over(self.addresses)

    def layout(self):
        # 14 bits, and two hours: 2^(31 - 14 + 6) ms are 8388 s.
        return cookies.oracle().Layout(key=1, tier=3, backend=8, check=2, clock=6)

    def named(self, port, name, other):
        """The stamp of a connection that `name` has at this tier, and whoever at the other one."""
        tier, backend = (self.ids[name], other) if self.tier == 1 else (other, self.ids[name])
        return self.stamp(port, backend, tier=tier)

    def syn(self, port):
        def packet(echo):
            return self.tcp(port, "S", [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, echo)), ("NOP", None),
                                        ("WScale", 7)])

        name = self.hashed(port)
        # What the client wrote there is nobody's word.
        claimed = MARK << 24 | 3
        told = claimed if self.tier == 1 else MARK << 24 | TIER_ID
        out = kit.ether_out(self.addresses[name]) / packet(told)
        self.case.send(kit.ether_in() / packet(claimed)).forwarded(out, "www", f"web/{name}", "hash_only")


def build(case, family, tier):
    web = Tier(case, family, tier)
    ports = range(1000, 1020)
    others = (0, 3, 7)
    names = {port: next(name for name in web.ids if name != web.hashed(port)) for port in ports}
    for port in ports:
        web.syn(port)
        for other in others:
            web.echo(port, web.named(port, names[port], other), names[port])
        web.error(port, web.named(port, names[port], 0), names[port], "cookie")
        web.short_quote(port)
        web.lost_reset(port)
        # An id that nobody of this tier has.
        nobody = web.stamp(port, 1, tier=3)
        web.refused(port, nobody)
    # One that drains has nothing new, and what it had; when it is gone, another takes that over.
    case.backend_drain("web/web-2")
    web.schedule_over(["web-1", "web-3"])
    for port in ports:
        web.syn(port + 100)
        web.echo(port, web.named(port, "web-2", 3), "web-2")
    case.backend_remove("web/web-2")
    for port in ports:
        web.refused(port, web.named(port, "web-2", 3))
        web.echo(port, web.named(port, "web-3", 3), "web-3")
    # One more: what the others have is not touched.
    case.backend_add("web/web-4", "192.0.2.14" if family == 4 else "2001:db8::14")
    web.schedule_over(["web-1", "web-3", "web-4"])
    web.addresses["web-4"] = "192.0.2.14" if family == 4 else "2001:db8::14"
    for port in ports:
        web.syn(port + 200)
        web.echo(port, web.named(port, "web-1", 3), "web-1")
    # Nothing of all this was remembered.
    case.expect(table_v4={"entries": 0}, table_v6={"entries": 0})
    for table in ("table_v4", "table_v6"):
        case.counters[table] = {"inserted": 0}
    case.counters["rungs"] = {"cookies_refused": 2 * len(ports)}
