#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "controlplane/preflight/examine.h"
#include "controlplane/preflight/lookup.h"

namespace sluice::preflight {
namespace {

using model::Cat;

constexpr std::pair<unsigned, unsigned> kOldestKernel = {5, 11};  // epoll_pwait2

constexpr unsigned kCapNetAdmin = 12;
constexpr unsigned kCapNetRaw = 13;
constexpr unsigned kCapSysAdmin = 21;

// The first two numbers of "6.1.0-37-amd64".
std::optional<std::pair<unsigned, unsigned>> KernelVersion(std::string_view release) {
  std::pair<unsigned, unsigned> version;
  const char* const end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.first);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, version.second);
  if (minor.ec != std::errc()) return std::nullopt;
  return version;
}

void CheckKernel(const Facts& facts, Findings* out) {
  const auto version = KernelVersion(facts.kernel_release);
  if (!version || *version >= kOldestKernel) {
    out->push_back({Severity::kOk, "kernel.release", "kernel", facts.kernel_release, ""});
    return;
  }
  out->push_back({Severity::kError, "kernel.release", "kernel",
                  Cat(facts.kernel_release, " is older than ", kOldestKernel.first, ".", kOldestKernel.second,
                      ", which the exception port needs (epoll_pwait2)"),
                  "apt install linux-image-amd64, reboot"});
}

bool HasExceptionPort(const Demand& demand) {
  return std::any_of(demand.ports.begin(), demand.ports.end(),
                     [](const PortDemand& port) { return !port.exception_interface.empty(); });
}

// PCI devices have their own privileges: the file of the group, locked memory.
void CheckCapabilities(const Demand& demand, const Facts& facts, Findings* out) {
  const bool af_packet = AnyDriver(demand, "net_af_packet");
  const bool af_xdp = AnyDriver(demand, "net_af_xdp");
  std::string missing;
  const auto need = [&missing](bool needed, bool there, std::string_view name) {
    if (needed && !there) missing += Cat(missing.empty() ? "" : " ", name);
  };
  need(HasExceptionPort(demand) || af_packet || af_xdp, HasCapability(facts, kCapNetAdmin), "CAP_NET_ADMIN");
  need(af_packet || af_xdp, HasCapability(facts, kCapNetRaw), "CAP_NET_RAW");
  // libxdp finds programs and their types by number, which CAP_BPF is not enough for.
  need(af_xdp, HasCapability(facts, kCapSysAdmin), "CAP_SYS_ADMIN");
  if (missing.empty()) {
    out->push_back({Severity::kOk, "process.capabilities", Cat("user ", facts.uid),
                    "has the capabilities that ports and exception ports need", ""});
    return;
  }
  out->push_back({Severity::kError, "process.capabilities", Cat("user ", facts.uid),
                  Cat("it lacks ", missing, ", which ports or exception ports need"),
                  Cat("AmbientCapabilities=", missing, " in the unit; on a command line: sudo")});
}

bool AnyAddress(std::string_view hexadecimal) { return hexadecimal.find_first_not_of('0') == std::string_view::npos; }

// An address as /proc/net/tcp and tcp6 write it: words of four bytes, the last byte first. Empty: it is none.
std::string HexadecimalOf(const std::string& address) {
  std::array<uint8_t, 16> bytes{};
  const size_t size = inet_pton(AF_INET, address.c_str(), bytes.data()) == 1    ? 4
                      : inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1 ? bytes.size()
                                                                                : 0;
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02X", bytes[i ^ 3]);
    text += digits;
  }
  return text;
}

// A listener on the port takes it if either of the two listens on all addresses, or both on the same one. What gRPC
// listens on is an IPv6 socket always, with IPv4 addresses mapped.
bool Taken(std::string_view listen, const Facts& facts) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string_view::npos) return false;
  uint16_t port = 0;
  const std::string_view digits = listen.substr(colon + 1);
  if (std::from_chars(digits.data(), digits.data() + digits.size(), port).ec != std::errc()) return false;
  constexpr std::string_view kMapped = "0000000000000000FFFF0000";
  std::string_view host = listen.substr(0, colon);
  const bool everywhere = host == "0.0.0.0" || host == "[::]";
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string own = HexadecimalOf(host == "localhost" ? "127.0.0.1" : std::string(host));
  return std::any_of(facts.listeners.begin(), facts.listeners.end(), [&](const Listener& listener) {
    if (listener.port != port) return false;
    std::string_view there = listener.address;
    if (there.starts_with(kMapped)) there.remove_prefix(kMapped.size());
    return everywhere || AnyAddress(there) || there == own;
  });
}

void CheckListen(std::string_view field, std::string_view listen, const Facts& facts, Findings* out) {
  if (listen.empty()) return;
  constexpr std::string_view kUnix = "unix:";
  const bool is_unix = listen.substr(0, kUnix.size()) == kUnix;
  const bool taken =
      is_unix ? facts.unix_listeners.count(std::string(listen.substr(kUnix.size()))) != 0 : Taken(listen, facts);
  const std::string subject = Cat(field, " ", listen);
  if (!taken) {
    out->push_back({Severity::kOk, "process.listen", subject, "free", ""});
    return;
  }
  out->push_back({Severity::kError, "process.listen", subject, "another process listens on it; does a sluiced run?",
                  is_unix ? Cat("ss -xlp | grep ", listen.substr(kUnix.size()))
                          : Cat("ss -tlnp | grep ", listen.substr(listen.rfind(':')))});
}

void CheckFile(const FileDemand& file, const Facts& facts, Findings* out) {
  const auto found = facts.files.find(file.path);
  if (found == facts.files.end() || !found->second.exists) {
    out->push_back({Severity::kError, "process.file", file.path, Cat(file.purpose, ": there is no such file"),
                    "create it, or correct the path"});
  } else if (!found->second.readable) {
    out->push_back({Severity::kError, "process.file", file.path, Cat(file.purpose, ": this process may not read it"),
                    Cat("chgrp sluice ", file.path, " && chmod g+r ", file.path)});
  } else if (file.secret && (found->second.mode & 07) != 0) {
    out->push_back({Severity::kWarning, "process.file", file.path,
                    Cat(file.purpose, ": it holds a secret, and every user of the machine can read it"),
                    Cat("chgrp sluice ", file.path, " && chmod 640 ", file.path)});
  } else {
    out->push_back({Severity::kOk, "process.file", file.path, Cat(file.purpose, ": readable"), ""});
  }
}

}  // namespace

void CheckProcess(const Demand& demand, const Facts& facts, Findings* out) {
  CheckKernel(facts, out);
  CheckCapabilities(demand, facts, out);
  CheckListen("api.listen", demand.api_listen, facts, out);
  CheckListen("api.tcp.listen", demand.api_tcp_listen, facts, out);
  CheckListen("metrics.listen", demand.metrics_listen, facts, out);
  for (const FileDemand& file : demand.files) CheckFile(file, facts, out);
}

}  // namespace sluice::preflight
