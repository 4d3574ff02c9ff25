#ifndef SLUICE_CONTROLPLANE_PROBE_HTTP_PROBER_H_
#define SLUICE_CONTROLPLANE_PROBE_HTTP_PROBER_H_

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "controlplane/health/prober.h"
#include "controlplane/probe/event_loop.h"
#include "controlplane/probe/way.h"

namespace sluice::probe {

struct HttpTransfer;

// Requests by libcurl: HTTP/1.1 and 2, with TLS or without, and gRPC's health protocol, which is a request of HTTP/2.
// Each probe has a connection of its own.
class HttpProber final : public health::Prober {
 public:
  HttpProber(EventLoop& loop, Ways& ways, health::ProbeSink& sink);
  ~HttpProber() override;

  void Start(health::ProbeId id, const health::CheckSpec& spec) override;
  std::string Cancel(health::ProbeId id) override;

  // libcurl's own timers: when Advance is due.
  std::optional<health::Time> next_due() const { return timer_; }
  void Advance(health::Time now);

 private:
  friend struct HttpCallbacks;
  void OnSocket(int fd, int what);
  void OnTimer(long timeout_ms);
  void Act(int fd, int events);
  // Tells of transfers that have ended.
  void Collect();
  std::unique_ptr<HttpTransfer> Take(health::ProbeId id);

  EventLoop& loop_;
  Ways& ways_;
  health::ProbeSink& sink_;
  void* multi_ = nullptr;  // CURLM
  std::optional<health::Time> timer_;
  std::unordered_map<health::ProbeId, std::unique_ptr<HttpTransfer>> transfers_;
};

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_HTTP_PROBER_H_
