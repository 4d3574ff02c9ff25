"""What says nothing of its connection's backend: resets without timestamps and ICMP errors with short quotes. All
backends of the VIP get it, within a limit."""

import cookies

LIMIT = 40  # copies in a second, of which resets may have half
EACH = 2  # copies: three backends


def build(case, family, mode="l2"):
    case.node["copies_per_s"] = LIMIT
    web = cookies.Cookies(case, family, mode=mode)
    ports = range(1000, 1000 + LIMIT // EACH // 2)
    copied = limited = 0

    def to_one(packet, port, rung):
        nonlocal limited
        limited += 1
        web.send(packet, port, web.hashed(port), rung)

    # Resets have their half, then ICMP errors all of the rest; what comes beyond it goes to one backend.
    for _ in range(2):
        for port in ports:
            web.lost_reset(port)
        to_one(web.tcp(2000, "R", []), 2000, "scheduler")
        for port in ports:
            web.short_quote(port)
        to_one(web.about(2000, 0, 28 if family == 4 else 48), 2000, "scheduler_no_entry")
        to_one(web.tcp(2000, "R", []), 2000, "scheduler")
        copied += 2 * len(ports)
        case.wait(1)
    # What the packet or the table knows goes to its backend alone.
    for port in range(3000, 3010):
        name = cookies.other_than(web, port)
        stamp = web.stamp(port, cookies.IDS[name])
        web.echo(port, stamp, name, flags="RA")
        web.error(port, stamp, name, "cookie")
        web.plain(port, "S", "scheduler")
        web.send(web.about(port, 0, 28 if family == 4 else 48), port, web.hashed(port), "connection_table")
        web.plain(port, "R", "connection_table")
    # A quote with timestamps in which there is no cookie says nothing either. A backend that drains has connections,
    # one that is gone has none.
    case.wait(1)
    case.backend_drain("web/web-2")
    web.scheduler = cookies.kit.Scheduler({"web-1": 100, "web-3": 100})
    web.send_to_all(web.about(4000, web.stamp(4000, 6)), 4000, "scheduler_no_entry")
    web.short_quote(4001)
    case.backend_remove("web/web-2")
    del web.addresses["web-2"]
    web.lost_reset(4002)
    web.short_quote(4003)
    copied += 4
    case.counters["rungs"] = {"copied": copied, "copies_limited": limited}
    case.counters[f"table_v{family}"] = {"inserted": 10}
