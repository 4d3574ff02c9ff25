"""No port has an address of the backend's family that a tunnel could come from."""

import no_source


def build(case):
    no_source.build(case, 6)
