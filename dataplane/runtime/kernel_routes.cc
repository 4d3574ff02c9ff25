#include "dataplane/runtime/kernel_routes.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"

namespace sluice::runtime {
namespace {

using NlCallbacks = std::unique_ptr<nl_cb, NlDeleter<nl_cb_put>>;

std::optional<net::IpAddress> ToAddress(uint8_t family, const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  const size_t size = family == AF_INET ? 4 : 16;
  if (static_cast<size_t>(nla_len(attribute)) < size) return std::nullopt;
  return net::IpAddress::FromBytes(family == AF_INET ? net::Family::kIpv4 : net::Family::kIpv6,
                                   static_cast<const uint8_t*>(nla_data(attribute)));
}

// The gateway, which may be of the other family (RFC 8950).
std::optional<net::IpAddress> Gateway(uint8_t family, const nlattr* gateway, const nlattr* via) {
  if (gateway != nullptr) return ToAddress(family, gateway);
  if (via == nullptr || static_cast<size_t>(nla_len(via)) < sizeof(rtvia)) return std::nullopt;
  const auto* written = static_cast<const rtvia*>(nla_data(via));
  const size_t size = static_cast<size_t>(nla_len(via)) - sizeof(rtvia);
  if (written->rtvia_family == AF_INET && size >= 4) {
    return net::IpAddress::FromBytes(net::Family::kIpv4, written->rtvia_addr);
  }
  if (written->rtvia_family == AF_INET6 && size >= 16) {
    return net::IpAddress::FromBytes(net::Family::kIpv6, written->rtvia_addr);
  }
  return std::nullopt;
}

constexpr unsigned kUnusable = RTNH_F_DEAD | RTNH_F_LINKDOWN;

void ReadMultipath(uint8_t family, const nlattr* multipath, HostRoute& route) {
  auto* hop = static_cast<rtnexthop*>(nla_data(multipath));
  int left = nla_len(multipath);
  while (left >= static_cast<int>(sizeof(rtnexthop)) && hop->rtnh_len >= sizeof(rtnexthop) && hop->rtnh_len <= left) {
    std::array<nlattr*, RTA_MAX + 1> attributes{};
    nla_parse(attributes.data(), RTA_MAX, reinterpret_cast<nlattr*>(RTNH_DATA(hop)),
              hop->rtnh_len - static_cast<int>(sizeof(rtnexthop)), nullptr);
    if ((hop->rtnh_flags & kUnusable) == 0) {
      route.hops.push_back({.interface_index = hop->rtnh_ifindex,
                            .gateway = Gateway(family, attributes[RTA_GATEWAY], attributes[RTA_VIA]),
                            .weight = uint32_t{hop->rtnh_hops} + 1});
    }
    left -= static_cast<int>(RTNH_ALIGN(hop->rtnh_len));
    hop = RTNH_NEXT(hop);
  }
}

std::optional<HostRoute::Kind> KindOf(uint8_t type) {
  switch (type) {
    case RTN_UNICAST:
      return HostRoute::Kind::kForward;
    case RTN_LOCAL:
    case RTN_ANYCAST:
      return HostRoute::Kind::kLocal;
    case RTN_BLACKHOLE:
    case RTN_UNREACHABLE:
    case RTN_PROHIBIT:
    case RTN_BROADCAST:
    case RTN_MULTICAST:
      return HostRoute::Kind::kDiscard;
    default:
      return std::nullopt;
  }
}

int OnRoute(nl_msg* message, void* take) {
  if (const auto route = ReadRouteMessage(nlmsg_hdr(message))) {
    (*static_cast<const std::function<void(const HostRoute&)>*>(take))(*route);
  }
  return NL_OK;
}

absl::Status DumpFamily(nl_sock* socket, uint8_t family, nl_cb* callbacks) {
  rtmsg request{};
  request.rtm_family = family;
  int result = nl_send_simple(socket, RTM_GETROUTE, NLM_F_DUMP, &request, sizeof(request));
  if (result >= 0) result = nl_recvmsgs(socket, callbacks);
  // Interrupted by changes: those are notified, and the routes are then read again.
  if (result >= 0 || result == -NLE_DUMP_INTR) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("reading the kernel's routes failed: ", nl_geterror(result)));
}

}  // namespace

std::optional<HostRoute> ReadRouteMessage(nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWROUTE) return std::nullopt;
  std::array<nlattr*, RTA_MAX + 1> attributes{};
  if (nlmsg_parse(message, sizeof(rtmsg), attributes.data(), RTA_MAX, nullptr) < 0) return std::nullopt;
  const auto* header = static_cast<const rtmsg*>(nlmsg_data(message));
  if (header->rtm_family != AF_INET && header->rtm_family != AF_INET6) return std::nullopt;
  const uint32_t table = attributes[RTA_TABLE] != nullptr ? nla_get_u32(attributes[RTA_TABLE]) : header->rtm_table;
  if ((table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL) || (header->rtm_flags & RTM_F_CLONED) != 0 ||
      header->rtm_tos != 0 || header->rtm_src_len != 0) {
    return std::nullopt;
  }
  const auto kind = KindOf(header->rtm_type);
  if (!kind) return std::nullopt;
  constexpr std::array<uint8_t, 16> kZero{};
  const auto family = header->rtm_family == AF_INET ? net::Family::kIpv4 : net::Family::kIpv6;
  HostRoute route;
  route.kind = *kind;
  route.prefix.address =
      ToAddress(header->rtm_family, attributes[RTA_DST]).value_or(net::IpAddress::FromBytes(family, kZero.data()));
  route.prefix.length = header->rtm_dst_len;
  if (attributes[RTA_PRIORITY] != nullptr) route.metric = nla_get_u32(attributes[RTA_PRIORITY]);
  if (attributes[RTA_MULTIPATH] != nullptr) {
    ReadMultipath(header->rtm_family, attributes[RTA_MULTIPATH], route);
  } else if (attributes[RTA_OIF] != nullptr && (header->rtm_flags & kUnusable) == 0) {
    route.hops.push_back({.interface_index = static_cast<int>(nla_get_u32(attributes[RTA_OIF])),
                          .gateway = Gateway(header->rtm_family, attributes[RTA_GATEWAY], attributes[RTA_VIA])});
  }
  return route;
}

absl::Status DumpRoutes(nl_sock* socket, const std::function<void(const HostRoute&)>& take) {
  const NlCallbacks callbacks(nl_cb_alloc(NL_CB_DEFAULT));
  if (callbacks == nullptr) return absl::ResourceExhaustedError("no memory to read the kernel's routes");
  nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, OnRoute,
            const_cast<std::function<void(const HostRoute&)>*>(&take));
  for (const uint8_t family : {uint8_t{AF_INET}, uint8_t{AF_INET6}}) {
    if (absl::Status status = DumpFamily(socket, family, callbacks.get()); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace sluice::runtime
