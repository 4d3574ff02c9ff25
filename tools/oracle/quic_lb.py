"""Connection ids of draft-ietf-quic-load-balancers (sections 3 and 5); shares no code with dataplane/lb."""

import aes128


def _expand(length, number, half):
    """A block of AES out of half an id: the half, zeros, the length of the whole and the number of the pass."""
    return half + bytes(14 - len(half)) + bytes([length, number])


def _passes(key, plain, order):
    """Feistel rounds over the bits of `plain`: the two halves share the middle octet when its length is odd."""
    length = len(plain)
    half = (length + 1) // 2
    odd = length % 2
    left = bytearray(plain[:half])
    right = bytearray(plain[length - half :])
    if odd:
        left[-1] &= 0xF0
        right[0] &= 0x0F
    for number in order:
        from_left = number % 2 == 1
        source, target = (left, right) if from_left else (right, left)
        pad = bytearray(aes128.encrypt(key, _expand(length, number, bytes(source)))[:half])
        if odd:
            if from_left:
                pad[0] &= 0x0F
            else:
                pad[-1] &= 0xF0
        for i in range(half):
            target[i] ^= pad[i]
    if odd:
        return bytes(left[:-1]) + bytes([left[-1] | right[0]]) + bytes(right[1:])
    return bytes(left + right)


def encrypt(key, plain):
    """Server id and nonce, encrypted; `key` is None for a plain id."""
    if key is None:
        return plain
    if len(plain) == 16:
        return aes128.encrypt(key, plain)
    return _passes(key, plain, (1, 2, 3, 4))


def connection_id(config, server_id, nonce, key=None, low_bits=None):
    """The whole id: three bits of the configuration, five of any kind (the length of what follows unless given)."""
    body = encrypt(key, server_id + nonce)
    first = config << 5 | (len(body) if low_bits is None else low_bits)
    return bytes([first]) + body
