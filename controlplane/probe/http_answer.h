#ifndef SLUICE_CONTROLPLANE_PROBE_HTTP_ANSWER_H_
#define SLUICE_CONTROLPLANE_PROBE_HTTP_ANSWER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/health/prober.h"
#include "controlplane/model/desired_state.h"

namespace sluice::probe {

// As much of a body as is looked at.
inline constexpr size_t kBodyBytes = 64 * 1024;

// What came back of a request.
struct HttpAnswer {
  long status = 0;
  std::string body;  // at most kBodyBytes
  bool is_http2 = false;
  std::optional<int> grpc_status;  // of a header or trailer
  std::string grpc_message;
  std::optional<double> load;  // of a header Sluice-Load
};

// Takes note of what a line of header or trailer says.
void ReadHeaderLine(std::string_view line, HttpAnswer* answer);

// Whether it is what the check wants, and why not.
health::ProbeResult JudgeAnswer(const config::HealthCheckConfig& check, const HttpAnswer& answer);

}  // namespace sluice::probe

#endif  // SLUICE_CONTROLPLANE_PROBE_HTTP_ANSWER_H_
