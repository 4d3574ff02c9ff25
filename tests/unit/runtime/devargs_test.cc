#include "dataplane/runtime/devargs.h"

#include <gtest/gtest.h>

namespace sluice::runtime {
namespace {

TEST(DevargsTest, TellsPciAddressesFromVirtualDevices) {
  for (const char* pci : {"0000:03:00.0", "03:00.1", "pci:0000:af:1f.7", "0000:03:00.0,representor=0"}) {
    EXPECT_TRUE(IsPciDevice(pci)) << pci;
  }
  for (const char* other : {"net_null0", "net_af_packet0,iface=03:00.1", "0000:03:00", "000:03:00.0", "", "3:00.0"}) {
    EXPECT_FALSE(IsPciDevice(other)) << other;
  }
}

TEST(DevargsTest, NamesDevicesAsDpdkDoes) {
  EXPECT_EQ(DeviceName("net_af_packet0,iface=eth0"), "net_af_packet0");
  EXPECT_EQ(DeviceName("vdev:net_null1"), "net_null1");
  EXPECT_EQ(DeviceName("03:00.1,arg=2"), "0000:03:00.1");
  EXPECT_EQ(DeviceName("pci:0000:03:00.1"), "0000:03:00.1");
}

TEST(DevargsTest, FindsArgumentsByTheirWholeName) {
  constexpr const char* kDevice = "net_af_packet0,iface=eth0,qpairs=2,empty=";
  EXPECT_EQ(DeviceArgument(kDevice, "iface"), "eth0");
  EXPECT_EQ(DeviceArgument(kDevice, "qpairs"), "2");
  EXPECT_EQ(DeviceArgument(kDevice, "empty"), "");
  EXPECT_EQ(DeviceArgument(kDevice, "pairs"), std::nullopt);
  EXPECT_EQ(DeviceArgument(kDevice, "net_af_packet0"), std::nullopt);
  EXPECT_EQ(DeviceArgument("net_null0", "iface"), std::nullopt);
}

TEST(DevargsTest, CompletesQueuesOnlyWhereTheDriverNeedsAndTheUserDidNotSay) {
  EXPECT_EQ(CompleteDevargs("net_af_packet0,iface=eth0", 1, 1024), "net_af_packet0,iface=eth0,framecnt=4096");
  EXPECT_EQ(CompleteDevargs("net_af_packet0,iface=eth0", 4, 512), "net_af_packet0,iface=eth0,qpairs=4,framecnt=2048");
  EXPECT_EQ(CompleteDevargs("net_af_packet0,iface=eth0,qpairs=2,framecnt=512", 4, 1024),
            "net_af_packet0,iface=eth0,qpairs=2,framecnt=512");
  EXPECT_EQ(CompleteDevargs("net_af_xdp0,iface=eth0", 2, 1024), "net_af_xdp0,iface=eth0,queue_count=2");
  EXPECT_EQ(CompleteDevargs("net_af_xdp0,iface=eth0", 1, 1024), "net_af_xdp0,iface=eth0");
  EXPECT_EQ(CompleteDevargs("net_virtio_user0,path=/dev/vhost-net", 2, 256),
            "net_virtio_user0,path=/dev/vhost-net,queues=2");
  EXPECT_EQ(CompleteDevargs("net_tap0", 2, 1024), "net_tap0");
  EXPECT_EQ(CompleteDevargs("net_null0", 8, 1024), "net_null0");
  EXPECT_EQ(CompleteDevargs("0000:03:00.0", 8, 1024), "0000:03:00.0");
}

}  // namespace
}  // namespace sluice::runtime
