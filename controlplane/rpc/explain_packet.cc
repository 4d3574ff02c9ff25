#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include "controlplane/model/text.h"
#include "controlplane/rpc/explain.h"
#include "dataplane/net/headers.h"
#include "sluice/v1/sluice.pb.h"

namespace sluice::rpc {
namespace {

using config::ForwardingMode;
using model::Cat;

class Headers {
 public:
  explicit Headers(v1::ExplainFlowResponse* response) : response_(response) {}

  void Add(std::string_view protocol, const std::string& source, const std::string& destination,
           const std::string& detail = "") {
    v1::PacketHeader* header = response_->add_packet();
    header->set_protocol(std::string(protocol));
    header->set_source(source);
    header->set_destination(destination);
    header->set_detail(detail);
  }
  void AddIp(const net::IpAddress& source, const net::IpAddress& destination, const std::string& detail = "") {
    Add(source.is_v4() ? "IPv4" : "IPv6", source.ToString(), destination.ToString(), detail);
  }
  void AddPorts(uint8_t protocol, Be16 source, Be16 destination, const std::string& detail = "") {
    Add(protocol == net::kProtocolTcp ? "TCP" : "UDP", std::to_string(source.Host()),
        std::to_string(destination.Host()), detail);
  }

 private:
  v1::ExplainFlowResponse* response_;
};

std::string FlowLabelText(const net::IpAddress& source, uint32_t flow_label) {
  if (source.is_v4()) return "";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "flow label 0x%05x", flow_label);
  return text.data();
}

void AddTunnel(ForwardingMode mode, uint16_t gue_port, const model::BackendRecord& backend,
               const fwd::FlowFinding& finding, const std::string& second, Headers& headers) {
  headers.AddIp(finding.tunnel_source, backend.desired.address,
                FlowLabelText(finding.tunnel_source, finding.flow_label));
  switch (mode) {
    case ForwardingMode::kGre:
      headers.Add("GRE", "", "");
      break;
    case ForwardingMode::kGue:
    case ForwardingMode::kGueDirect:
      headers.AddPorts(net::kProtocolUdp, Be16::FromHost(finding.udp_source_port), Be16::FromHost(gue_port));
      headers.Add("GUE", "", "",
                  mode == ForwardingMode::kGueDirect ? "variant 1: no header of its own"
                  : second.empty()                   ? "variant 0"
                                                     : model::Cat("variant 0; behind the SYN it names ", second));
      break;
    default:
      break;
  }
}

void AddTranslated(const model::VipRecord& vip, const model::BackendRecord& backend, const fwd::FlowQuestion& question,
                   const fwd::FlowFinding& finding, Headers& headers) {
  const Be16 backend_port = backend.desired.port ? Be16::FromHost(*backend.desired.port) : question.destination_port;
  if (vip.desired.mode == ForwardingMode::kNat) {
    headers.AddIp(question.client, backend.desired.address, "one hop less");
    headers.AddPorts(question.protocol, question.client_port, backend_port);
    return;
  }
  const std::string proxy =
      vip.desired.proxy_protocol == config::ProxyProtocol::kV2 ? "PROXY header before the client's data" : "";
  if (finding.has_session && finding.source_translated) {
    headers.AddIp(finding.local, backend.desired.address, "one hop less");
    headers.AddPorts(question.protocol, finding.local_port, backend_port, proxy);
    return;
  }
  headers.Add(backend.desired.address.is_v4() ? "IPv4" : "IPv6", "a local address", backend.desired.address.ToString(),
              "one hop less");
  headers.Add(question.protocol == net::kProtocolTcp ? "TCP" : "UDP", "a local port",
              std::to_string(backend_port.Host()), proxy);
}

}  // namespace

void DescribePacket(const model::VipRecord& vip, const model::BackendRecord& backend, const fwd::NextHop& hop,
                    const fwd::FlowQuestion& question, const fwd::FlowFinding& finding, const std::string& second,
                    v1::ExplainFlowResponse* response) {
  Headers headers(response);
  headers.Add("Ethernet", hop.source.ToString(), hop.destination.ToString(), hop.on_link ? "" : "a gateway");
  const ForwardingMode mode = vip.desired.mode;
  if (config::IsNat(mode)) {
    return AddTranslated(vip, backend, question, finding, headers);
  }
  if (mode != ForwardingMode::kL2)
    AddTunnel(mode, vip.desired.gue_port.value_or(config::kDefaultGuePort), backend, finding, second, headers);
  headers.AddIp(question.client, question.destination, "as it came");
  headers.AddPorts(question.protocol, question.client_port, question.destination_port);
}

}  // namespace sluice::rpc
