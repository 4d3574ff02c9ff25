#ifndef SLUICE_TOOLS_REPLAY_PCAP_FILE_H_
#define SLUICE_TOOLS_REPLAY_PCAP_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct pcap;
struct pcap_dumper;

namespace sluice::replay {

// Frames beyond this are refused: no capture tool writes them, and a forged length would cost memory.
inline constexpr uint32_t kMaxFrameBytes = 262144;

inline constexpr uint64_t kNsPerSecond = 1'000'000'000;

struct Frame {
  uint64_t time_ns = 0;  // since the epoch
  std::vector<uint8_t> bytes;
  bool was_cut = false;  // the capture holds less than the wire did; the rest of `bytes` is zero
};

// Reads Ethernet frames from pcap (micro- and nanosecond stamps, either byte order) and pcapng files. Any thread, one
// at a time.
class PcapReader {
 public:
  // "-" is standard input. Errors name the file and what it is instead.
  static absl::StatusOr<PcapReader> Open(const std::string& path);

  // True and `frame` filled, or false at the end of the file. An error in the middle of the file names the frame.
  absl::StatusOr<bool> Next(Frame* frame);

 private:
  struct Closer {
    void operator()(pcap* handle) const;
  };
  PcapReader(std::string path, pcap* handle) : path_(std::move(path)), handle_(handle) {}

  std::string path_;
  std::unique_ptr<pcap, Closer> handle_;
  uint64_t frames_ = 0;
};

// Writes Ethernet frames to a pcap file with nanosecond stamps.
class PcapWriter {
 public:
  static absl::StatusOr<PcapWriter> Create(const std::string& path);
  void Write(uint64_t time_ns, const std::vector<uint8_t>& bytes);
  // Writes what is buffered and closes; only then is it known that the disk took everything.
  absl::Status Close();

 private:
  struct Closer {
    void operator()(pcap* handle) const;
    void operator()(pcap_dumper* dumper) const;
  };
  PcapWriter(std::string path, pcap* handle, pcap_dumper* dumper)
      : path_(std::move(path)), handle_(handle), dumper_(dumper) {}

  std::string path_;
  std::unique_ptr<pcap, Closer> handle_;
  std::unique_ptr<pcap_dumper, Closer> dumper_;
};

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_PCAP_FILE_H_
