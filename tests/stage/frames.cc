#include "tests/stage/frames.h"

#include "dataplane/net/address.h"

namespace sluice::test {
namespace {

void Put16(Bytes& out, size_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

void PutAddress(Bytes& out, const std::string& text) {
  const auto address = net::IpAddress::Parse(text);
  out.insert(out.end(), address->data(), address->data() + address->size());
}

Bytes L4(const FrameBuilder& b) {
  Bytes out;
  Put16(out, b.source_port);
  Put16(out, b.destination_port);
  if (b.protocol == 6) {
    out.insert(out.end(), {0, 0, 0, 1, 0, 0, 0, 0, 0x50, b.tcp_flags, 0xff, 0xff, 0, 0, 0, 0});
  } else {
    Put16(out, 8 + b.payload);
    Put16(out, 0);
  }
  out.resize(out.size() + b.payload, 0xab);
  return out;
}

}  // namespace

Bytes FrameBuilder::Build() const {
  Bytes out = {destination_mac_first, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x99};
  for (size_t i = 0; i < vlan_tags; ++i) {
    Put16(out, i + 1 < vlan_tags ? 0x88a8 : 0x8100);
    Put16(out, 100 + i);
  }
  const Bytes l4 = L4(*this);
  const bool v4 = source.find(':') == std::string::npos;
  Put16(out, v4 ? 0x0800 : 0x86dd);
  if (v4) {
    const size_t ip = out.size();
    out.insert(out.end(), {0x45, tos});
    Put16(out, 20 + l4.size());
    Put16(out, id);
    Put16(out, fragment);
    out.insert(out.end(), {hop_limit, protocol, 0, 0});
    PutAddress(out, source);
    PutAddress(out, destination);
    uint32_t sum = bad_checksum ? 1 : 0;
    for (size_t i = ip; i < out.size(); i += 2) sum += static_cast<uint32_t>(out[i] << 8 | out[i + 1]);
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    out[ip + 10] = static_cast<uint8_t>(~sum >> 8);
    out[ip + 11] = static_cast<uint8_t>(~sum);
  } else {
    out.insert(out.end(), {static_cast<uint8_t>(0x60 | tos >> 4), static_cast<uint8_t>(tos << 4), 0, 0});
    Put16(out, l4.size());
    out.insert(out.end(), {protocol, hop_limit});
    PutAddress(out, source);
    PutAddress(out, destination);
  }
  out.insert(out.end(), l4.begin(), l4.end());
  out.resize(out.size() + padding, 0);
  return out;
}

}  // namespace sluice::test
