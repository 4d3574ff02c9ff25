#ifndef SLUICE_TOOLS_BACKEND_BPF_MAKE_COOKIE_H_
#define SLUICE_TOOLS_BACKEND_BPF_MAKE_COOKIE_H_

// The cookie of a connection, once for each: EncodeCookie of dataplane/lb/cookie.h without instructions for AES. All
// loops have the same steps whatever the values, for the verifier, which would follow each branch.

#include "tools/backend/bpf/tcp_options.h"

#define AES_BLOCK 16
#define AES_ROUNDS 10
#define FIELD_MOST_BITS 24
#define DIVISION_STEPS (2 * FIELD_MOST_BITS - 1)
#define NO_COOKIE -1
// Hides from the compiler what it knows of the value, so that it makes no branch of arithmetic.
#define OPAQUE(value) asm volatile("" : "+r"(value))

static __always_inline struct CookieRule* FindCookieRule(const struct AddressKey* vip, __be16 port) {
  struct CookieRuleKey key = {.vip = *vip, .port = port};
  struct CookieRule* rule = bpf_map_lookup_elem(&cookie_rules, &key);
  if (rule) return rule;
  key.port = 0;
  return bpf_map_lookup_elem(&cookie_rules, &key);
}

static __always_inline __u8 TimesX(__u8 v) { return (__u8)(v << 1 ^ (0x1b & (0 - (v >> 7)))); }

// FIPS 197, section 5.1: encrypts job->state. Byte i is row i % 4 of column i / 4, and row r moves left by r columns.
static __noinline int AesEncrypt(struct CookieJob* job, const struct AesSubstitution* box, const __u8* schedule) {
  __u8* state = job->state;
  __u8* next = job->next;
#pragma nounroll
  for (int i = 0; i < AES_BLOCK; ++i) state[i] ^= schedule[i];
#pragma nounroll
  for (int round = 1; round <= AES_ROUNDS; ++round) {
    const __u8* key = schedule + round * AES_BLOCK;
#pragma nounroll
    for (int at = 0; at < AES_BLOCK; at += 4) {
      const __u8 a0 = box->byte[state[at]];
      const __u8 a1 = box->byte[state[(at + 5) % AES_BLOCK]];
      const __u8 a2 = box->byte[state[(at + 10) % AES_BLOCK]];
      const __u8 a3 = box->byte[state[(at + 15) % AES_BLOCK]];
      // The last round mixes no columns.
      const __u8 mix = round < AES_ROUNDS ? 0xff : 0;
      const __u8 all = a0 ^ a1 ^ a2 ^ a3;
      next[at] = a0 ^ (mix & (TimesX(a0 ^ a1) ^ all)) ^ key[at];
      next[at + 1] = a1 ^ (mix & (TimesX(a1 ^ a2) ^ all)) ^ key[at + 1];
      next[at + 2] = a2 ^ (mix & (TimesX(a2 ^ a3) ^ all)) ^ key[at + 2];
      next[at + 3] = a3 ^ (mix & (TimesX(a3 ^ a0) ^ all)) ^ key[at + 3];
    }
    __builtin_memcpy(state, next, AES_BLOCK);
  }
  return 0;
}

// In the field of `bits` bits. Steps beyond them add nothing, since b has no such bits.
static __always_inline __u32 FieldMultiply(__u32 bits, __u32 polynomial, __u32 a, __u32 b) {
  const __u32 mask = (1u << (bits & 31)) - 1;
  __u32 product = 0;
#pragma nounroll
  for (int i = 0; i < FIELD_MOST_BITS; ++i) {
    __u32 bit = b >> i & 1;
    __u32 carry = a >> ((bits - 1) & 31) & 1;
    OPAQUE(bit);
    OPAQUE(carry);
    product ^= a & (0 - bit);
    a = (a << 1 & mask) ^ (polynomial & (0 - carry));
  }
  return product;
}

static __always_inline __u32 ReverseBits(__u32 v) {
  v = (v >> 1 & 0x55555555) | (v & 0x55555555) << 1;
  v = (v >> 2 & 0x33333333) | (v & 0x33333333) << 2;
  v = (v >> 4 & 0x0f0f0f0f) | (v & 0x0f0f0f0f) << 4;
  return __builtin_bswap32(v);
}

// By division steps (Bernstein and Yang, "Fast constant-time gcd computation and modular inversion", 2019, section 3,
// for polynomials over GF(2)): as many as the largest field needs; those beyond only shift v.
static __always_inline __u32 FieldInverse(__u32 bits, __u32 polynomial, __u32 a) {
  __u32 f = ReverseBits(1u << (bits & 31) | polynomial) >> ((31 - bits) & 31);
  __u32 g = ReverseBits(a) >> ((32 - bits) & 31);
  __u64 v = 0;
  __u64 r = 1;
  __s32 delta = 1;
#pragma nounroll
  for (int i = 0; i < DIVISION_STEPS; ++i) {
    v <<= 1;
    // All ones where f and g change places: delta is above 0 and g is odd.
    __s32 swap = -delta;
    OPAQUE(swap);
    swap >>= 31;
    __s32 odd = (__s32)(g & 1);
    OPAQUE(odd);
    swap &= -odd;
    const __u32 fg = (f ^ g) & (__u32)swap;
    const __u64 vr = (v ^ r) & (__u64)(__s64)swap;
    f ^= fg;
    g ^= fg;
    v ^= vr;
    r ^= vr;
    delta = ((delta ^ swap) - swap) + 1;
    odd = (__s32)(g & 1);
    OPAQUE(odd);
    g = (g ^ (f & (__u32)-odd)) >> 1;
    r ^= v & (__u64) - (__s64)odd;
  }
  v >>= (DIVISION_STEPS + 1 - 2 * bits) & 63;
  return ReverseBits((__u32)v & ((1u << (bits & 31)) - 1)) >> ((32 - bits) & 31);
}

static __always_inline void Absorb(struct CookieJob* job, const __u8* block) {
#pragma nounroll
  for (int i = 0; i < AES_BLOCK; ++i) job->state[i] ^= block[i];
}

// The first eight bytes of the tuple's AES output, as a little-endian number.
static __always_inline __u64 Tweak(struct CookieJob* job, const struct AesSubstitution* box,
                                   const struct CookieSchedule* key, bool v4) {
  const __u8* schedule = v4 ? key->v4 : key->v6;
  __u8 last[AES_BLOCK] = {};
  __builtin_memset(job->state, 0, AES_BLOCK);
  if (v4) {
    __builtin_memcpy(last, job->flow.client.bytes + 12, 4);
    __builtin_memcpy(last + 4, job->flow.vip.bytes + 12, 4);
    __builtin_memcpy(last + 8, &job->flow.client_port, 4);
    last[12] = IPPROTO_TCP;
  } else {
    __builtin_memcpy(last, &job->flow.client_port, 4);
    last[4] = IPPROTO_TCP;
    Absorb(job, job->flow.client.bytes);
    AesEncrypt(job, box, schedule);
    Absorb(job, job->flow.vip.bytes);
    AesEncrypt(job, box, schedule);
  }
  Absorb(job, last);
  AesEncrypt(job, box, schedule);
  __u64 tweak;
  __builtin_memcpy(&tweak, job->state, sizeof(tweak));
  return tweak;
}

// The cookie for the flow and the rule in this CPU's job; NO_COOKIE when a map lacks what the loader puts there. Not
// static: the verifier then looks at it once by itself and not once for each way to its call.
__noinline int MakeCookie(struct __sk_buff* skb) {
  const __u32 zero = 0;
  struct CookieJob* job = bpf_map_lookup_elem(&cookie_job, &zero);
  const struct AesSubstitution* box = bpf_map_lookup_elem(&substitution, &zero);
  if (!job || !box) return NO_COOKIE;
  const __u32 number = job->rule.key_number;
  const struct CookieSchedule* key = bpf_map_lookup_elem(&cookie_keys, &number);
  if (!key) return NO_COOKIE;
  const __u64 tweak = Tweak(job, box, key, skb->protocol == bpf_htons(ETH_P_IP));
  const __u32 bits = job->rule.permuted_bits;
  const __u32 polynomial = job->rule.polynomial;
  const __u32 mask = (1u << (bits & 31)) - 1;
  const __u32 a = (__u32)((tweak & 0xffffffff) * mask >> 32) + 1;
  const __u32 b = (__u32)(tweak >> 32) & mask;
  const __u32 inverse = FieldInverse(bits, polynomial, a);
  const __u32 permuted = FieldMultiply(bits, polynomial, inverse, job->rule.plain) ^ b;
  return (int)(number << (bits & 31) | permuted);
}

#endif  // SLUICE_TOOLS_BACKEND_BPF_MAKE_COOKIE_H_
