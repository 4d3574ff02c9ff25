#include "dataplane/runtime/netlink.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dataplane/base/check.h"

namespace sluice::runtime {
namespace {

constexpr size_t kMacBytes = 6;
// The kernel answers at once; a limit so that no thread waits for ever if it does not.
constexpr timeval kAnswerTimeout = {.tv_sec = 5, .tv_usec = 0};

NlAddr Build(int family, const uint8_t* bytes, size_t size) {
  NlAddr address(nl_addr_build(family, bytes, size));
  SLUICE_CHECK(address != nullptr);
  return address;
}

}  // namespace

absl::StatusOr<NlSocket> ConnectNetlink() {
  NlSocket socket(nl_socket_alloc());
  SLUICE_CHECK(socket != nullptr);
  if (const int result = nl_connect(socket.get(), NETLINK_ROUTE); result < 0) {
    return absl::InternalError(
        absl::StrCat("connecting to the kernel's routing tables (netlink) failed: ", nl_geterror(result)));
  }
  setsockopt(nl_socket_get_fd(socket.get()), SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout, sizeof(kAnswerTimeout));
  return socket;
}

int AddressFamily(const net::IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

NlAddr ToNlAddr(const net::IpAddress& address) { return Build(AddressFamily(address), address.data(), address.size()); }

NlAddr ToNlAddr(const net::IpPrefix& prefix) {
  NlAddr address = ToNlAddr(prefix.address);
  nl_addr_set_prefixlen(address.get(), prefix.length);
  return address;
}

NlAddr ToNlAddr(const net::MacAddress& mac) { return Build(AF_LLC, mac.data(), kMacBytes); }

std::optional<net::IpAddress> ToIpAddress(const nl_addr* address) {
  if (address == nullptr) return std::nullopt;
  const auto* bytes = static_cast<const uint8_t*>(nl_addr_get_binary_addr(address));
  const unsigned size = nl_addr_get_len(address);
  if (size == 4) return net::IpAddress::FromBytes(net::Family::kIpv4, bytes);
  if (size == 16) return net::IpAddress::FromBytes(net::Family::kIpv6, bytes);
  return std::nullopt;
}

std::optional<net::MacAddress> ToMacAddress(const nl_addr* address) {
  if (address == nullptr || nl_addr_get_len(address) != kMacBytes) return std::nullopt;
  return net::MacAddress(static_cast<const uint8_t*>(nl_addr_get_binary_addr(address)));
}

}  // namespace sluice::runtime
