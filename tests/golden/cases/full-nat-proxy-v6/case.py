"""The PROXY protocol to backends, client IPv6, backend IPv6."""

import proxy_stream


def build(case):
    proxy_stream.build(case, outside=6, inside=6)
