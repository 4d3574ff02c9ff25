"""One AES encryption round (FIPS 197), computed from the field arithmetic; shares no code with dataplane/lb."""


def _multiply(a, b):
    """The product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11B
        b >>= 1
    return product


def _make_sbox():
    box = []
    for value in range(256):
        inverse = next((x for x in range(256) if _multiply(value, x) == 1), 0)
        result = 0x63
        for shift in range(5):
            result ^= ((inverse << shift) | (inverse >> (8 - shift))) & 0xFF
        box.append(result)
    return bytes(box)


SBOX = _make_sbox()
_TIMES_2 = bytes(_multiply(x, 2) for x in range(256))
_TIMES_3 = bytes(_multiply(x, 3) for x in range(256))


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def shift_rows(state):
    """Row r (bytes r, r+4, r+8, r+12) moves left by r."""
    return bytes(state[(i + 4 * (i % 4)) % 16] for i in range(16))


def mix_columns(state):
    out = bytearray()
    for column in range(0, 16, 4):
        a, b, c, d = state[column : column + 4]
        out.append(_TIMES_2[a] ^ _TIMES_3[b] ^ c ^ d)
        out.append(a ^ _TIMES_2[b] ^ _TIMES_3[c] ^ d)
        out.append(a ^ b ^ _TIMES_2[c] ^ _TIMES_3[d])
        out.append(_TIMES_3[a] ^ b ^ c ^ _TIMES_2[d])
    return bytes(out)


def sub_bytes(state):
    return state.translate(SBOX)


def aes_round(state, key):
    """SubBytes, ShiftRows, MixColumns, AddRoundKey: what the AESENC instruction does."""
    return xor(mix_columns(shift_rows(sub_bytes(state))), key)
