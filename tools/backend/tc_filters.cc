#include "tools/backend/tc_filters.h"

#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>

#include "tools/backend/file_descriptor.h"

namespace sluice::backend {
namespace {

struct Request {
  nlmsghdr header;
  tcmsg message;
};

// Asks for all objects of a kind and calls `see` for each; false when the kernel refuses or goes silent.
template <typename See>
bool Dump(uint16_t type, const tcmsg& about, const See& see) {
  const FileDescriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  const timeval patience = {.tv_sec = 5, .tv_usec = 0};
  if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0) return false;
  Request request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.message = about;
  if (send(fd.get(), &request, sizeof(request), 0) != static_cast<ssize_t>(sizeof(request))) return false;
  alignas(nlmsghdr) std::array<char, 32 << 10> buffer;
  while (true) {
    const ssize_t received = recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (received <= 0) return false;
    auto left = static_cast<unsigned>(received);
    for (auto* each = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(each, left); each = NLMSG_NEXT(each, left)) {
      if (each->nlmsg_type == NLMSG_DONE) return true;
      if (each->nlmsg_type == NLMSG_ERROR) return false;
      see(*static_cast<const tcmsg*>(NLMSG_DATA(each)));
    }
  }
}

}  // namespace

bool HasTcFilters(int interface_index) {
  for (const uint32_t minor : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
    tcmsg about{};
    about.tcm_family = AF_UNSPEC;
    about.tcm_ifindex = interface_index;
    about.tcm_parent = TC_H_MAKE(TC_H_CLSACT, minor);
    bool any = false;
    const bool good = Dump(RTM_GETTFILTER, about, [&any](const tcmsg&) { any = true; });
    if (any || !good) return true;
  }
  return false;
}

bool HasClsact(int interface_index) {
  tcmsg about{};
  about.tcm_family = AF_UNSPEC;
  bool any = false;
  Dump(RTM_GETQDISC, about, [&](const tcmsg& qdisc) {
    any = any || (qdisc.tcm_ifindex == interface_index && qdisc.tcm_parent == TC_H_CLSACT);
  });
  return any;
}

}  // namespace sluice::backend
