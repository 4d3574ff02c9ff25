#include "dataplane/runtime/xdp_queues.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace sluice::runtime {
namespace {

using Queues = std::map<std::string, std::set<uint32_t>>;

TEST(XdpQueuesTest, AreThoseOfAllDevicesOfTheInterface) {
  EXPECT_EQ(XdpQueues({"net_af_xdp0,iface=eth0,start_queue=0", "net_af_xdp1,iface=eth0,start_queue=1",
                       "net_af_xdp2,iface=eth1,start_queue=4,queue_count=2"},
                      1),
            (Queues{{"eth0", {0, 1}}, {"eth1", {4, 5}}}));
  EXPECT_EQ(XdpQueues({"net_af_xdp0,iface=eth0"}, 3), (Queues{{"eth0", {0, 1, 2}}}));
  EXPECT_EQ(XdpQueues({"net_af_xdp0,iface=eth0,queue_count=x"}, 2), (Queues{{"eth0", {0, 1}}}));
  EXPECT_EQ(XdpQueues({"net_af_packet0,iface=eth0", "0000:03:00.0", "net_af_xdp0"}, 2), Queues());
}

TEST(XdpQueuesTest, AnInterfaceThatIsNotThereTellsNothing) {
  EXPECT_EQ(InterfaceRxQueues("no-such-if"), std::nullopt);
  EXPECT_EQ(InterfaceRxQueues("a-name-longer-than-linux-allows"), std::nullopt);
}

}  // namespace
}  // namespace sluice::runtime
