#ifndef SLUICE_CONTROLPLANE_MODEL_DATAPLANE_FACTS_H_
#define SLUICE_CONTROLPLANE_MODEL_DATAPLANE_FACTS_H_

#include <cstdint>

#include "controlplane/model/counts.h"
#include "dataplane/base/ids.h"

namespace sluice::model {

// The few facts about the data plane that decisions of the model rest on. Any thread.
class DataplaneFacts {
 public:
  virtual ~DataplaneFacts() = default;
  // True when no worker can hold a connection entry of a VIP or backend that is absent since `generation`.
  virtual bool SweptSince(uint64_t generation) const = 0;
  // Counters of an id since the process started, whoever had it.
  virtual VipCounts CountsOf(VipId id) const = 0;
  virtual BackendCounts CountsOf(BackendId id) const = 0;
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_DATAPLANE_FACTS_H_
