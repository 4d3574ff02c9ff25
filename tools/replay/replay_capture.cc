#include "tools/replay/replay_capture.h"

#include <utility>
#include <vector>

namespace sluice::replay {

absl::Status Outputs::Open(const std::string& out_path, const std::string& host_path) {
  for (const auto& [path, writer] : {std::pair{&out_path, &out_}, std::pair{&host_path, &host_}}) {
    if (path->empty()) continue;
    auto created = PcapWriter::Create(*path);
    if (!created.ok()) return created.status();
    *writer = *std::move(created);
  }
  return absl::OkStatus();
}

absl::Status Outputs::Close() {
  absl::Status status;
  if (out_) status.Update(out_->Close());
  if (host_) status.Update(host_->Close());
  return status;
}

absl::Status ReplayCapture(Engine& engine, PcapReader& reader, PortId port, const Destinations& destinations,
                           Report& report) {
  // Frames are read ahead so that bursts form; the number bounds the memory.
  constexpr size_t kReadAhead = 256;
  uint64_t number = 0;
  bool more = true;
  while (more) {
    std::vector<Frame> frames;
    absl::Status broken;
    while (more && frames.size() < kReadAhead) {
      Frame frame;
      const auto got = reader.Next(&frame);
      if (!got.ok()) broken = got.status();
      more = got.ok() && *got;
      if (more) frames.push_back(std::move(frame));
    }
    if (number == 0 && !frames.empty()) engine.StartCapture(frames.front().time_ns);
    const std::vector<PacketResult> results = engine.Process(frames, port);
    for (size_t i = 0; i < frames.size(); ++i) {
      if (results[i].fate == Fate::kPunted) {
        destinations.host->WriteHost(frames[i].time_ns, results[i].bytes);
      } else if (results[i].fate != Fate::kDropped && results[i].fate != Fate::kBuffered) {
        destinations.out->WriteOut(frames[i].time_ns, results[i].bytes);
      }
      for (const ExtraFrame& extra : results[i].extra) {
        if (extra.fate == Fate::kPunted) {
          destinations.host->WriteHost(frames[i].time_ns, extra.bytes);
        } else {
          destinations.out->WriteOut(frames[i].time_ns, extra.bytes);
        }
      }
      report.Packet(++number, frames[i], results[i]);
    }
    if (!broken.ok()) return broken;
  }
  return absl::OkStatus();
}

}  // namespace sluice::replay
