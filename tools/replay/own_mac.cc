#include "tools/replay/own_mac.h"

#include <algorithm>
#include <cstddef>

#include "dataplane/net/headers.h"
#include "dataplane/net/parser.h"
#include "tools/replay/pcap_file.h"

namespace sluice::replay {
namespace {

net::IpAddress DestinationOf(const Frame& frame, const net::ParsedHeaders& headers) {
  const size_t field = headers.family == net::Family::kIpv4 ? offsetof(net::Ipv4Header, destination)
                                                            : offsetof(net::Ipv6Header, destination);
  return net::IpAddress::FromBytes(headers.family, frame.bytes.data() + headers.l3_offset + field);
}

}  // namespace

absl::StatusOr<std::optional<net::MacAddress>> FindOwnMac(const std::string& capture,
                                                          const config::ServiceConfig& services) {
  auto reader = PcapReader::Open(capture);
  if (!reader.ok()) return reader.status();
  Frame frame;
  while (true) {
    const auto more = reader->Next(&frame);
    if (!more.ok()) return more.status();
    if (!*more) return std::nullopt;
    const auto size = static_cast<uint32_t>(frame.bytes.size());
    const net::ParsedHeaders headers = net::ParseFrame(frame.bytes.data(), size, size);
    if (headers.status != net::ParseStatus::kOk) continue;
    const net::MacAddress mac(frame.bytes.data());
    const net::IpAddress destination = DestinationOf(frame, headers);
    const bool for_vip = std::any_of(services.vips.begin(), services.vips.end(),
                                     [&](const config::VipConfig& vip) { return vip.prefix.Contains(destination); });
    if (for_vip && !mac.IsMulticast()) return mac;
  }
}

}  // namespace sluice::replay
