#include "config/rules.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "config/limits.h"
#include "config/text.h"

namespace sluice::config {
namespace {

bool IsAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool IsIpv4Mapped(const net::IpAddress& address) {
  const uint8_t* bytes = address.data();
  return !address.is_v4() && std::all_of(bytes, bytes + 10, [](uint8_t b) { return b == 0; }) && bytes[10] == 0xff &&
         bytes[11] == 0xff;
}

// What CheckHostAddress refuses, as prefixes; the unspecified addresses are told apart before.
constexpr std::array<std::string_view, 8> kNoHosts = {"127.0.0.0/8",        "169.254.0.0/16", "224.0.0.0/4",
                                                      "255.255.255.255/32", "::1/128",        "fe80::/10",
                                                      "ff00::/8",           "::ffff:0:0/96"};

}  // namespace

std::optional<std::string> CheckName(std::string_view name) {
  if (name.empty()) return "the name is empty; give one";
  if (name.size() > limits::kNameLength) {
    return Cat("name ", Quote(name), " has ", name.size(), " characters; at most ", limits::kNameLength,
               " are allowed");
  }
  const bool good = std::all_of(name.begin(), name.end(),
                                [](char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; });
  if (good) return std::nullopt;
  return Cat("name ", Quote(name),
             " has a character that names cannot have; use letters, digits, \".\", \"_\" and \"-\"");
}

std::optional<std::string> CheckInterfaceName(std::string_view name) {
  if (name.size() > limits::kInterfaceNameLength) {
    return Cat("interface name ", Quote(name), " has ", name.size(), " characters; Linux allows at most ",
               limits::kInterfaceNameLength);
  }
  // What the kernel refuses ('/', ':', blanks, "." and "..") and what it would take for a pattern ('%') is among these.
  const bool good = std::all_of(name.begin(), name.end(),
                                [](char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; });
  if (good && name != "." && name != "..") return std::nullopt;
  return Cat("interface name ", Quote(name), " is not allowed; use letters, digits, \".\", \"_\" and \"-\"");
}

std::optional<std::string> CheckHostAddress(const net::IpAddress& address) {
  const auto refuse = [&](std::string_view why) {
    return Cat("address ", address.ToString(), " is ", why,
               "; give a unicast address that is reachable from other hosts");
  };
  constexpr std::array<uint8_t, 4> kBroadcast = {255, 255, 255, 255};
  if (address.IsUnspecified()) return refuse("unspecified");
  if (address.IsMulticast()) return refuse("a multicast address");
  if (address.IsLoopback()) return refuse("a loopback address");
  if (address.IsLinkLocal()) return refuse("a link-local address");
  if (address == net::IpAddress::FromBytes(net::Family::kIpv4, kBroadcast.data()))
    return refuse("the broadcast address");
  if (IsIpv4Mapped(address)) return refuse("an IPv4-mapped IPv6 address, which no packet carries");
  return std::nullopt;
}

std::optional<std::string> CheckHostPrefix(const net::IpPrefix& prefix) {
  if (auto wrong = CheckHostAddress(prefix.address)) return wrong;
  if (prefix.length == prefix.address.bits()) return std::nullopt;
  const net::IpPrefix masked = prefix.Network();
  if (masked != prefix) {
    return Cat("prefix ", prefix.ToString(), " has bits set beyond its length; write ", masked.ToString(), ", or ",
               prefix.address.ToString(), " for this address alone");
  }
  for (const std::string_view text : kNoHosts) {
    const net::IpPrefix special = *net::IpPrefix::Parse(text);
    if (!special.Contains(prefix.address) && !prefix.Contains(special.address)) continue;
    return Cat("prefix ", prefix.ToString(), " has addresses in common with ", text,
               ", which are no host's; give a prefix of unicast addresses");
  }
  return std::nullopt;
}

std::optional<HostPort> ParseHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool brackets = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  const auto address = net::IpAddress::Parse(host);
  // Without brackets an IPv6 address and the port would run together.
  if (!address || address->is_v4() == brackets) return std::nullopt;
  HostPort result{*address, 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), result.port);
  if (error != std::errc() || end != digits.data() + digits.size() || result.port == 0) return std::nullopt;
  return result;
}

std::optional<std::string> CheckApiListen(std::string_view listen) {
  constexpr std::string_view kUnix = "unix:";
  if (listen.substr(0, kUnix.size()) == kUnix) {
    const std::string_view path = listen.substr(kUnix.size());
    if (path.size() < 2 || path.front() != '/' || path.back() == '/' || path.find('\0') != std::string_view::npos) {
      return Cat(Quote(listen),
                 " does not name a socket; write \"unix:\" and an absolute path, like "
                 "\"unix:/run/sluice/sluiced.sock\"");
    }
    if (path.size() > limits::kUnixPathLength) {
      return Cat("the path in ", Quote(listen), " has ", path.size(), " bytes; a Unix socket's has at most ",
                 limits::kUnixPathLength);
    }
    return std::nullopt;
  }
  const auto parsed = ParseHostPort(listen);
  if (!parsed) {
    return Cat(Quote(listen),
               " is neither a Unix socket nor an IP address with port; write it like "
               "\"unix:/run/sluice/sluiced.sock\" or \"127.0.0.1:9106\"");
  }
  if (!parsed->host.IsLoopback()) {
    return Cat(Quote(listen),
               " could be reached from other machines, and `listen` has no TLS; use a Unix socket or a "
               "loopback address here, and `tcp` for clients on other machines");
  }
  return std::nullopt;
}

std::optional<std::string> CheckListen(std::string_view listen, uint16_t usual_port) {
  if (ParseHostPort(listen)) return std::nullopt;
  return Cat(Quote(listen), " is not an IP address with port; write it like \"127.0.0.1:", usual_port,
             "\" or \"[::1]:", usual_port, "\"");
}

std::string_view FamilyName(net::Family family) { return family == net::Family::kIpv4 ? "IPv4" : "IPv6"; }

}  // namespace sluice::config
