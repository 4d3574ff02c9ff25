"""Fragmented packets of connections with cookies: the cookie is in the first fragment, and the others follow it."""

import itertools

import cookies
import fragments
import kit
from scapy.all import Raw

ORDERS = list(itertools.permutations(range(3)))


class Parts:
    """Packets of a client's connection to a VIP with cookies, or with slots, cut into three fragments each."""

    def __init__(self, web):
        self.web, self.idents = web, itertools.count(1)

    def cut(self, port, options, flags="PA"):
        ident = next(self.idents)
        packet = self.web.tcp(port, flags, options) / Raw(bytes(i * 11 & 255 for i in range(2000)))
        if self.web.family == 4:
            packet.id = ident
        return fragments.cut(packet, 800, ident)

    def echoing(self, port, stamp):
        return self.cut(port, [("NOP", None), ("NOP", None), ("Timestamp", (77, stamp))])

    def send(self, parts, order, port, name, rung):
        """Fragments in an order, all of them to one backend; those before the first are held."""
        case, held, came = self.web.case, [], False
        for index in order:
            sent = case.send(kit.ether_in() / parts[index])
            came = came or index == 0
            if not came:
                held.append((sent.held(), index))
                continue
            sent.forwarded(self.web.out(parts[index], port, name), "www", f"web/{name}", rung)
            if index == 0:
                for waited, of in held:
                    sent.releases(waited, self.web.out(parts[of], port, name), "www", f"web/{name}", rung)


def build(case, family, mode="l2"):
    web = cookies.Cookies(case, family, mode=mode)
    parts = Parts(web)
    # In every order they go where the cookie says, which is not where the hash would send them.
    for port, order in enumerate(ORDERS, 1000):
        name = cookies.other_than(web, port)
        parts.send(parts.echoing(port, web.stamp(port, cookies.IDS[name])), order, port, name, "cookie")
    # Where the first one's says nothing, all go by the hash; and none makes an entry.
    refused = 0
    for port, order in enumerate(ORDERS, 1100):
        parts.send(parts.echoing(port, web.stamp(port, 6)), order, port, web.hashed(port), "hash_only")
        refused += 3
    # A client without timestamps has an entry, and all follow that.
    for port, order in enumerate(ORDERS, 1200):
        web.plain(port, "S", "scheduler")
        parts.send(parts.cut(port, []), order, port, web.hashed(port), "connection_table")
    # A backend that drains keeps its connections' fragments; one that goes after the first has none of the others.
    ports = [port for port in range(1300, 1400) if web.hashed(port) != "web-2"][:6]
    stamps = {port: web.stamp(port, cookies.IDS["web-2"]) for port in ports}
    case.backend_drain("web/web-2")
    for port, order in zip(ports, ORDERS):
        parts.send(parts.echoing(port, stamps[port]), order, port, "web-2", "cookie")
    cut = {port: parts.echoing(port, stamps[port]) for port in ports}
    for port in ports:
        parts.send(cut[port], [0, 2], port, "web-2", "cookie")
    case.backend_remove("web/web-2")
    web.schedule_over(["web-1", "web-3"])
    for port in ports:
        name = web.hashed(port)
        out = web.out(cut[port][1], port, name)
        case.send(kit.ether_in() / cut[port][1]).forwarded(out, "www", f"web/{name}", "hash_only")
        refused += 1
    case.counters["rungs"] = {"cookies_refused": refused}
    case.counters[f"table_v{family}"] = {"inserted": len(ORDERS)}
