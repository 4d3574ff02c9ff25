"""The PROXY protocol to backends: every segment that begins with the client's first byte gets the header until the
backend has acknowledged it, the bare third ACK too; from then on numbers are shifted: the client's, the backend's
acknowledgements and its SACK blocks, of which those about the header alone are taken out."""

import nat


def build(case, outside, inside):
    """`outside`: the client's IP version, `inside`: the backend's."""
    nat.use_full_nat(case)
    case.pool("web", {"web-1": nat.BACKENDS[inside]})
    case.vip("www", nat.VIPS[outside], "tcp", 80, "web", "full-nat", proxy_protocol="v2")
    flow = nat.ProxyFlow(case, "www", outside, "tcp", 80, inside=inside)
    size = len(flow.header)
    flow.from_client(b"", 1000, 0, "scheduler", flags="S")
    flow.from_backend(b"", 5000, 1001, 1001, flags="SA")
    flow.from_client(b"", 1000, 0, flags="S")  # the answer was lost
    flow.from_client(b"", 1001, 5001, header=True)
    flow.from_client(b"GET /\n", 1001, 5001, flags="PA", header=True)
    flow.from_client(b"GET /\n", 1001, 5001, flags="PA", header=True)
    flow.from_client(b"more", 1007, 5001, flags="PA", shift=size)
    flow.from_backend(b"", 5001, 1001, 1001)
    # The header arrived, the request did not, what comes after it did.
    sack = [("NOP", None), ("NOP", None), ("SAck", (1007 + size, 1011 + size))]
    seen = [("NOP", None), ("NOP", None), ("SAck", (1007, 1011))]
    flow.from_backend(b"", 5001, 1001 + size, 1001, options=sack, options_shown=seen)
    # The backend had the header when it came again with the request, and says so (RFC 2883), which is no business of
    # the client's: alone, and before another block.
    twice = [("NOP", None), ("NOP", None), ("SAck", (1001, 1001 + size))]
    flow.from_backend(b"", 5001, 1001 + size, 1001, options=twice, options_shown=[("NOP", None)] * 12)
    twice = [("NOP", None), ("NOP", None), ("SAck", (1001, 1001 + size, 1007 + size, 1011 + size))]
    flow.from_backend(b"", 5001, 1001 + size, 1001, options=twice, options_shown=seen + [("NOP", None)] * 8)
    flow.from_client(b"GET /\n", 1001, 5001, flags="PA", shift=size)
    flow.from_backend(b"200 OK", 5001, 1011 + size, 1011, flags="PA")
    flow.from_client(b"", 1011, 5007, shift=size)
    flow.from_client(b"", 1010, 5007, shift=size)  # a keep-alive
    flow.from_backend(b"", 5007, 1011 + size, 1011, flags="FA")
    flow.from_client(b"", 1011, 5008, flags="FA", shift=size)
    flow.from_backend(b"", 5008, 1012 + size, 1012)
