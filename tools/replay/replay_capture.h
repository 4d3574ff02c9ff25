#ifndef SLUICE_TOOLS_REPLAY_REPLAY_CAPTURE_H_
#define SLUICE_TOOLS_REPLAY_REPLAY_CAPTURE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "tools/replay/engine.h"
#include "tools/replay/pcap_file.h"
#include "tools/replay/report.h"

namespace sluice::replay {

// The two files that are written; either may be absent.
class Outputs {
 public:
  // An empty path: no such file.
  absl::Status Open(const std::string& out_path, const std::string& host_path);

  bool has_out() const { return out_.has_value(); }
  bool has_host() const { return host_.has_value(); }
  void WriteOut(uint64_t time_ns, const std::vector<uint8_t>& bytes) {
    if (out_) out_->Write(time_ns, bytes);
  }
  void WriteHost(uint64_t time_ns, const std::vector<uint8_t>& bytes) {
    if (host_) host_->Write(time_ns, bytes);
  }

  absl::Status Close();

 private:
  std::optional<PcapWriter> out_, host_;
};

// Where packets go: those that leave, and those for the host's kernel.
struct Destinations {
  Outputs* out = nullptr;
  Outputs* host = nullptr;
};

// Lets all frames of a capture arrive on `port`. An error in the middle of the capture comes after the frames before
// it.
absl::Status ReplayCapture(Engine& engine, PcapReader& reader, PortId port, const Destinations& destinations,
                           Report& report);

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_REPLAY_CAPTURE_H_
