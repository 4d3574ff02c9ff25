#ifndef SLUICE_DATAPLANE_FWD_WORKER_COUNTERS_H_
#define SLUICE_DATAPLANE_FWD_WORKER_COUNTERS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "dataplane/base/counter.h"
#include "dataplane/base/drop_reason.h"
#include "dataplane/base/ids.h"

namespace sluice::fwd {

// Which rung of the ladder chose a packet's backend.
enum class Rung : uint8_t {
  kNone,             // no backend was chosen
  kConnectionTable,  // an entry of this flow
  kCookie,           // the packet's cookie
  kScheduler,        // the pool's policy, Maglev unless it says otherwise; the flow was entered into a table, unless it
                     // ends with this packet
  kSchedulerNoEntry,  // Maglev, and the table had no room (counted: such a flow may move when backends change)
  // Maglev, and nothing is to be remembered: the VIP does not track its connections, or this one has timestamps, by
  // which a cookie is to come back.
  kHashOnly,
  kSlot,  // the slot that the packet's cookie names
  kQuic,  // the packet's connection id
  // The pool's policy, for a connection whose cookie is to come: nothing is to be remembered. Where a table remembers
  // it, that is kScheduler.
  kPolicy,
  // Maglev, and no change of the backends could move the flow: the VIP tracks unsafe flows only, and this is none.
  kSafe,
};
inline constexpr size_t kRungCount = 10;
// What users see of them: in metrics, the API and reports.
inline constexpr std::array<std::string_view, kRungCount> kRungNames = {
    "none", "connection_table", "cookie", "scheduler", "scheduler_no_entry", "hash_only", "slot",
    "quic", "policy",           "safe"};
constexpr std::string_view RungName(Rung rung) { return kRungNames[static_cast<size_t>(rung)]; }

// What the data plane answers by itself.
enum class AnswerKind : uint8_t {
  kEchoReply,     // to an ICMP echo request for a VIP
  kPacketTooBig,  // "fragmentation needed" or "packet too big" to a client, or to a backend behind NAT
  kTimeExceeded,  // to whose packet had no hop left, where the director is a hop: with NAT
  kUnreachable,   // to a client whose VIP has no backend, where the pool says so
  kReset,         // the same over TCP, and to clients whose backend is down, where the pool says so
};
inline constexpr size_t kAnswerKindCount = 5;

inline constexpr size_t kMaxPorts = 16;

struct PortCounters {
  Counter rx_packets, rx_bytes, tx_packets, tx_bytes;
};

// One cache line: all that a packet counts of its VIP.
struct alignas(64) VipCounters {
  TrafficCounters requests;
  Counter new_flows, dropped;
  TrafficCounters replies;  // of backends, with address translation
  Counter unprotected;      // see UnprotectedCounters; packets of all causes
};

struct alignas(32) BackendCounters {
  TrafficCounters requests;
  // Entries of the connection table: those made, and those that ended. Their difference is the flows alive now.
  Counter flows_started, flows_ended;
};

struct TableCounters {
  Counter inserted;
  Counter expired;           // ended by a timeout
  Counter replaced;          // the flow was entered anew: its backend is gone, its tuple began a new connection, or a
                             // new flow needs the local end of a closed one
  Counter insert_full;       // no room; the flow went by the hash alone
  Counter unconfirmed_full;  // too many flows of which only one packet was seen; the flow went by the hash alone
  Counter sweeps;            // complete passes over the table
};

// Address translation; its sessions are counted as a table.
struct NatCounters {
  Counter stateless_replies;  // packets of backends that were rewritten by the return table alone
  Counter replies;            // packets of backends that were rewritten by their session
  Counter proxy_headers;      // PROXY protocol headers sent, those sent again included
  // Sessions whose local port was chosen without one being found that makes the NIC bring replies to this worker.
  Counter unsteered;
};

// Packets of running TCP connections (no SYN, no RST) to VIPs that track connections, for which the packet path had
// neither an entry nor anything in the packet to go by: per-connection consistency rested on the hash alone.
struct UnprotectedCounters {
  // The connection is not known here: it began on another director or before a restart, or was silent for longer than
  // its timeout. It was entered with the hash's choice, so this counts connections as well.
  Counter unknown;
  // The connection table has no room for the flow, or refused flows a short while ago, so that this one probably began
  // without an entry.
  Counter no_room;
  Counter no_room_flows;  // the connections among them: counted when they are entered, or at their FIN
  // The VIP has cookies and the packet timestamps, so that it makes no entry, but no cookie that names a backend: it is
  // of another director's key or pool, of a backend without agent, or made up.
  Counter no_cookie;
  Counter no_session;  // full NAT: no session, so the packet was dropped
};

// Packets that may be any backend's of their VIP (copies.h).
struct CopyCounters {
  Counter packets;    // of which the other backends got copies
  Counter copies;     // made; each is counted as originated, too
  Counter limited;    // packets that went to one backend only, because of the limits
  Counter no_buffer;  // copies for which no buffer was free
};

// All counters that one thread of the data plane writes: a worker, or the exception thread. Sized once at start;
// readers on any thread.
struct WorkerCounters {
  WorkerCounters(size_t max_vips, size_t max_backends)
      : vips(std::make_unique<VipCounters[]>(max_vips)),
        backends(std::make_unique<BackendCounters[]>(max_backends)),
        vip_count(max_vips),
        backend_count(max_backends) {}

  // Entries and fates: see base/fate.h.
  Counter received, from_host, originated;
  Counter forwarded, answered, punted, sent_for_host;
  std::array<Counter, kDropReasonCount> dropped;
  // Packets that went to the worker that owns them, and those that came: counted as received where they arrived.
  Counter handed_over, taken_over;

  std::array<Counter, kRungCount> rungs;
  // Echoed timestamps to VIPs with cookies, and connection ids to those with QUIC, that name no backend.
  Counter cookies_refused;
  Counter second_chances;  // packets that named a second backend
  Counter rescheduled;     // packets of known flows whose backend was gone: they got a new one
  UnprotectedCounters unprotected;
  CopyCounters copies;
  std::array<PortCounters, kMaxPorts> ports;
  TableCounters table_v4, table_v6, table_wide;
  TableCounters table_nat;
  TableCounters table_stateful;  // connections in slots
  NatCounters nat;
  std::array<Counter, kAnswerKindCount> answers;
  Counter related;  // ICMP errors that were sent after the flow they quote
  Counter probes;   // packets of the host's health checks, to VIPs, that were taken up to be sent to one backend each

  // How the worker spends its time. Cycles are of the time stamp counter.
  Counter polls, empty_polls, busy_cycles, idle_cycles, sleeps, slept_ns;
  Gauge fragments_held;  // fragments that wait for the first one of their packet
  // Newest state generation that the worker took up.
  Gauge state_generation;
  // The generation in use when the last complete pass over both connection tables began: entries of backends that were
  // absent in it are gone.
  Gauge swept_generation;

  const std::unique_ptr<VipCounters[]> vips;          // by VipId
  const std::unique_ptr<BackendCounters[]> backends;  // by BackendId
  const size_t vip_count;
  const size_t backend_count;
};

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_WORKER_COUNTERS_H_
