#include "tools/replay/pcap_file.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace sluice::replay {
namespace {}  // namespace

void PcapReader::Closer::operator()(pcap* handle) const { pcap_close(handle); }

absl::StatusOr<PcapReader> PcapReader::Open(const std::string& path) {
  std::array<char, PCAP_ERRBUF_SIZE> why{};
  pcap* const handle = pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, why.data());
  if (handle == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read as pcap or pcapng: ", why.data()));
  }
  PcapReader reader(path, handle);
  const int link = pcap_datalink(handle);
  if (link != DLT_EN10MB) {
    const char* const name = pcap_datalink_val_to_name(link);
    return absl::InvalidArgumentError(absl::StrCat(path, ": holds frames of link type ",
                                                   name != nullptr ? name : absl::StrCat(link).c_str(),
                                                   ", only Ethernet (EN10MB) is understood; capture on an Ethernet "
                                                   "interface, not on \"any\""));
  }
  return reader;
}

absl::StatusOr<bool> PcapReader::Next(Frame* frame) {
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  const int result = pcap_next_ex(handle_.get(), &header, &bytes);
  if (result == PCAP_ERROR_BREAK) return false;
  if (result != 1) {
    return absl::DataLossError(absl::StrCat(path_, ": broken after frame ", frames_, ": ", pcap_geterr(handle_.get())));
  }
  ++frames_;
  if (header->len > kMaxFrameBytes) {
    return absl::DataLossError(absl::StrCat(path_, ": frame ", frames_, " claims ", header->len,
                                            " bytes; the largest that is taken is ", kMaxFrameBytes));
  }
  frame->time_ns = static_cast<uint64_t>(header->ts.tv_sec) * kNsPerSecond + static_cast<uint64_t>(header->ts.tv_usec);
  frame->was_cut = header->caplen < header->len;
  frame->bytes.assign(bytes, bytes + header->caplen);
  frame->bytes.resize(std::max(header->caplen, header->len));
  return true;
}

void PcapWriter::Closer::operator()(pcap* handle) const { pcap_close(handle); }
void PcapWriter::Closer::operator()(pcap_dumper* dumper) const { pcap_dump_close(dumper); }

absl::StatusOr<PcapWriter> PcapWriter::Create(const std::string& path) {
  pcap* const handle =
      pcap_open_dead_with_tstamp_precision(DLT_EN10MB, static_cast<int>(kMaxFrameBytes), PCAP_TSTAMP_PRECISION_NANO);
  pcap_dumper* const dumper = pcap_dump_open(handle, path.c_str());
  if (dumper == nullptr) {
    const absl::Status error = absl::InvalidArgumentError(absl::StrCat("cannot write: ", pcap_geterr(handle)));
    pcap_close(handle);
    return error;
  }
  return PcapWriter(path, handle, dumper);
}

void PcapWriter::Write(uint64_t time_ns, const std::vector<uint8_t>& bytes) {
  pcap_pkthdr header{};
  header.ts.tv_sec = static_cast<time_t>(time_ns / kNsPerSecond);
  header.ts.tv_usec = static_cast<suseconds_t>(time_ns % kNsPerSecond);
  header.caplen = static_cast<bpf_u_int32>(bytes.size());
  header.len = header.caplen;
  pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), &header, bytes.data());
}

absl::Status PcapWriter::Close() {
  const bool failed = pcap_dump_flush(dumper_.get()) != 0 || std::ferror(pcap_dump_file(dumper_.get())) != 0;
  const int error = errno;
  dumper_.reset();
  handle_.reset();
  if (failed) return absl::DataLossError(absl::StrCat(path_, ": writing failed: ", std::strerror(error)));
  return absl::OkStatus();
}

}  // namespace sluice::replay
