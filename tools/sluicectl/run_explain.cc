#include <charconv>
#include <optional>
#include <string>

#include "config/text.h"
#include "tools/sluicectl/client.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/print.h"
#include "tools/sluicectl/run.h"
#include "tools/sluicectl/table.h"
#include "tools/sluicectl/units.h"

namespace sluice::ctl {
namespace {

using config::Cat;

struct Endpoint {
  std::string address;
  uint32_t port = 0;
};

// "192.0.2.1:80" or "[2001:db8::1]:80".
absl::StatusOr<Endpoint> ReadEndpoint(std::string_view what, const std::string& text) {
  const size_t colon = text.rfind(':');
  const bool bracketed = text.starts_with('[') && colon != std::string::npos && colon > 1 && text[colon - 1] == ']';
  std::string address = colon == std::string::npos ? "" : text.substr(0, colon);
  if (bracketed) address = address.substr(1, address.size() - 2);
  uint32_t port = 0;
  const char* end_of_text = text.data() + text.size();
  const char* port_text = colon == std::string::npos ? end_of_text : text.data() + colon + 1;
  const auto [end, error] = std::from_chars(port_text, end_of_text, port);
  const bool is_v6 = address.find(':') != std::string::npos;
  if (address.empty() || error != std::errc() || end != end_of_text || is_v6 != bracketed) {
    return UsageError(Cat(what, ": \"", text, "\" is not ADDRESS:PORT; write 192.0.2.1:443 or [2001:db8::1]:443"));
  }
  return Endpoint{address, port};
}

std::string RungText(const v1::ExplainFlowResponse& answer) {
  const std::string& rung = answer.rung();
  if (rung == "slot") return "the slot that the timestamp names which the client echoes";
  if (rung == "cookie") return "the cookie in the timestamp that the client echoes";
  if (rung == "session") return "its session of address translation";
  if (rung == "connection_table") return "its entry in the connection table";
  if (!answer.policy().empty()) return Cat("policy ", answer.policy(), " (no entry yet)");
  if (rung == "scheduler") return "the hash (no entry yet)";
  if (rung == "safe") return "the hash (no change of backends could move it: no entry)";
  if (rung == "hash_only") return "the hash (nothing is to be remembered)";
  return rung;  // of a newer server
}

std::string CookieText(const v1::ExplainFlowResponse& answer) {
  if (!answer.has_cookie_backend()) {
    return "not asked for: of packets with TCP timestamps it decides first; --ecr says what they echo";
  }
  if (answer.cookie_backend().empty()) return "names nobody of the pool: what follows decides";
  return Cat("names ", answer.cookie_backend());
}

void PrintExplanation(const v1::ExplainFlowRequest& request, const v1::ExplainFlowResponse& answer, std::ostream& out) {
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) out << name << std::string(14 - name.size(), ' ') << value << "\n";
  };
  line("flow", Cat(request.protocol() == v1::PROTOCOL_UDP ? "udp " : "tcp ",
                   EndText(request.client(), std::to_string(request.client_port())), " -> ",
                   EndText(request.address(), std::to_string(request.port()))));
  line("result", Cat(answer.fate(), answer.drop_reason().empty() ? "" : Cat(" (", answer.drop_reason(), ")"), ": ",
                     answer.explanation()));
  if (answer.has_vip()) {
    line("VIP", Cat(answer.vip().name(), " (", ServiceText(answer.vip()), ", mode ", ModeText(answer.vip().mode()),
                    ", pool ", answer.vip().pool(), ")"));
    line("decided by", RungText(answer));
    const v1::Consistency consistency = answer.vip().consistency();
    const bool has_cookies = consistency == v1::CONSISTENCY_COOKIE || consistency == v1::CONSISTENCY_STATEFUL;
    if (has_cookies && request.protocol() == v1::PROTOCOL_TCP) line("cookie", CookieText(answer));
    if (answer.has_entry()) {
      const v1::FlowEntry& entry = answer.entry();
      line("entry", Cat(entry.backend().empty() ? "names a backend that is gone" : entry.backend(), ", ", entry.state(),
                        ", last packet ", HumanDuration(entry.idle_s()), " ago, at worker ", entry.worker(),
                        entry.over() ? "; its time is over: a SYN begins anew" : ""));
      if (entry.has_counted()) {
        line("counted", Cat(HumanCount(entry.counted().packets()), " packets and ", HumanCount(entry.counted().bytes()),
                            " bytes of the client, began ", HumanDuration(entry.counted().age_s()), " ago"));
      }
    } else {
      line("entry", "none");
    }
    line("slot", answer.slots() == 0 ? "none: no backend of the pool takes new connections"
                                     : Cat(answer.slot(), " of ", answer.slots(), ", of ", answer.slot_backend()));
  }
  line("home", answer.home_backend().empty() ? "" : Cat(answer.home_backend(), ", which gets it unless it begins now"));
  line("state", Cat("generation ", answer.state_generation()));
  if (answer.backends_size() > 0) {
    out << "\n";
    Table table({{"BACKEND"}, {"CHOSEN"}, {"WHY"}});
    for (const v1::BackendVerdict& backend : answer.backends()) {
      table.AddRow({backend.name(), backend.chosen() ? "yes" : "no", backend.reason()});
    }
    table.Print(out);
  }
  if (answer.packet_size() > 0) {
    out << "\n";
    Table table({{answer.egress_port().empty() ? "PACKET" : Cat("PACKET ON ", answer.egress_port())},
                 {"FROM"},
                 {"TO"},
                 {"NOTE"}});
    for (const v1::PacketHeader& header : answer.packet()) {
      table.AddRow({header.protocol(), header.source(), header.destination(), header.detail()});
    }
    table.Print(out);
  }
}

}  // namespace

absl::Status RunExplain(Invocation& invocation) {
  const std::string& protocol = invocation.operands[0];
  v1::ExplainFlowRequest request;
  if (protocol != "tcp" && protocol != "udp") {
    return UsageError(Cat("\"", protocol, "\" is not one of tcp, udp"));
  }
  request.set_protocol(protocol == "tcp" ? v1::PROTOCOL_TCP : v1::PROTOCOL_UDP);
  const absl::StatusOr<Endpoint> client = ReadEndpoint("CLIENT:PORT", invocation.operands[1]);
  if (!client.ok()) return client.status();
  const absl::StatusOr<Endpoint> vip = ReadEndpoint("VIP:PORT", invocation.operands[2]);
  if (!vip.ok()) return vip.status();
  request.set_client(client->address);
  request.set_client_port(client->port);
  request.set_address(vip->address);
  request.set_port(vip->port);
  if (invocation.arguments.Has("ecr")) {
    const auto echo = ReadNumber("--ecr", invocation.arguments.Get("ecr", ""), 0, UINT32_MAX);
    if (!echo.ok()) return echo.status();
    request.set_echo(static_cast<uint32_t>(*echo));
  }

  absl::StatusOr<Client> connection = Client::Connect(invocation.server, invocation.tls);
  if (!connection.ok()) return connection.status();
  v1::ExplainFlowResponse answer;
  if (absl::Status status = connection->Call(&v1::Inspector::Stub::ExplainFlow, request, &answer); !status.ok()) {
    return status;
  }
  if (invocation.json) {
    PrintMessage(answer, invocation);
  } else {
    PrintExplanation(request, answer, invocation.out);
  }
  return absl::OkStatus();
}

}  // namespace sluice::ctl
