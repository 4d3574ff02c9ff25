#include "controlplane/metrics/parts.h"
#include "dataplane/base/drop_reason.h"

namespace sluice::metrics {

void CollectPackets(const Sources& sources, Families& out) {
  const fwd::PacketTotals totals = sources.view.Totals();
  out.AddCounter("sluice_packets_received_total", "Packets received from ports.", totals.received);
  out.AddCounter("sluice_packets_from_host_total", "Packets taken from the host's kernel.", totals.from_host);
  out.AddCounter("sluice_packets_originated_total", "Packets that sluiced made itself.", totals.originated);
  out.AddCounter("sluice_packets_forwarded_total", "Packets sent to backends.", totals.forwarded);
  out.AddCounter("sluice_packets_answered_total", "Packets in whose place an answer was sent.", totals.answered);
  out.AddCounter("sluice_packets_punted_total", "Packets given to the host's kernel.", totals.punted);
  out.AddCounter("sluice_packets_sent_for_host_total", "Packets of the host's kernel sent by a port.",
                 totals.sent_for_host);
  // All reasons, also those that never occurred: rates and alerts need a series that starts at zero.
  Family dropped = CounterFamily("sluice_packets_dropped_total", "Packets dropped, by reason.");
  for (size_t i = 0; i < totals.dropped.size(); ++i) {
    dropped.Add({{"reason", DropReasonLabel(static_cast<DropReason>(i))}}, totals.dropped[i]);
  }
  out.Add(std::move(dropped));
  out.AddGauge("sluice_packets_held", "Packets on their way between threads.", totals.held);
}

}  // namespace sluice::metrics
