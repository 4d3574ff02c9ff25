#ifndef SLUICE_TOOLS_BACKEND_BPF_MAPS_H_
#define SLUICE_TOOLS_BACKEND_BPF_MAPS_H_

#include <linux/bpf.h>

// After linux/bpf.h.
#include <bpf/bpf_helpers.h>

#include "tools/backend/abi.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct Settings);
  __uint(max_entries, 1);
} settings SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, __u64);
  __uint(max_entries, kCounters);
} counters SEC(".maps");

// This host's own addresses: where tunnels may end.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct AddressKey);
  __type(value, __u8);
  __uint(max_entries, 1024);
} own_addresses SEC(".maps");

// From where tunnels may come.
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __type(key, struct PrefixKey);
  __type(value, __u8);
  __uint(max_entries, 4096);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} directors SEC(".maps");

// Other backends: to whom packets may be sent on, and from whom such may come.
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __type(key, struct PrefixKey);
  __type(value, __u8);
  __uint(max_entries, 4096);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} peers SEC(".maps");

// For whom the packets inside may be.
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __type(key, struct PrefixKey);
  __type(value, struct VipValue);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} vips SEC(".maps");

// By interface index: the loader created the clsact qdisc there, so the loader removes it. Not for the programs; it
// lives as long as they are attached, whatever becomes of the loader.
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u32);
  __type(value, __u8);
  __uint(max_entries, 64);
} created_clsact SEC(".maps");

// ---- Cookies

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, struct CookieRuleKey);
  __type(value, struct CookieRule);
  __uint(max_entries, 4096);
} cookie_rules SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct CookieSchedule);
  __uint(max_entries, SLUICE_BACKEND_COOKIE_KEYS);
} cookie_keys SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, struct AesSubstitution);
  __uint(max_entries, 1);
} substitution SEC(".maps");

// Where a cookie is made, since the stack is small: the program that needs one fills in the first two.
struct CookieJob {
  struct CookieFlowKey flow;
  struct CookieRule rule;
  __u8 state[16];
  __u8 next[16];
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, struct CookieJob);
  __uint(max_entries, 1);
} cookie_job SEC(".maps");

// Connections whose client has not answered the SYN-ACK yet have a table of their own: a flood of SYNs makes no
// established connection go. The loader sets the sizes.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct CookieFlowKey);
  __type(value, struct CookieFlow);
  __uint(max_entries, 1);
} half_open SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct CookieFlowKey);
  __type(value, struct CookieFlow);
  __uint(max_entries, 1);
} established SEC(".maps");

#endif  // SLUICE_TOOLS_BACKEND_BPF_MAPS_H_
