#ifndef SLUICE_CONTROLPLANE_RECONCILE_VIEW_FACTS_H_
#define SLUICE_CONTROLPLANE_RECONCILE_VIEW_FACTS_H_

#include "controlplane/model/dataplane_facts.h"
#include "dataplane/fwd/interfaces.h"

namespace sluice::reconcile {

// The model's facts, read from the data plane's counters.
class ViewFacts : public model::DataplaneFacts {
 public:
  // `view` must live longer.
  explicit ViewFacts(const fwd::DataplaneView& view) : view_(view) {}

  bool SweptSince(uint64_t generation) const override { return view_.SweptSince(generation); }

  model::VipCounts CountsOf(VipId id) const override {
    const fwd::VipStats now = view_.Vip(id);
    return {now.packets, now.bytes, now.new_flows, now.dropped, now.reply_packets, now.reply_bytes, now.unprotected};
  }

  model::BackendCounts CountsOf(BackendId id) const override {
    const fwd::BackendStats now = view_.Backend(id);
    return {now.packets, now.bytes, now.flows_started, now.flows_alive()};
  }

 private:
  const fwd::DataplaneView& view_;
};

}  // namespace sluice::reconcile

#endif  // SLUICE_CONTROLPLANE_RECONCILE_VIEW_FACTS_H_
