#include <gmock/gmock.h>

#include <algorithm>
#include <string>

#include "tests/stage/nat_fixture.h"

namespace sluice::test::nat {
namespace {

TEST_F(NatTest, ErrorsOfDestinationNatBothWays) {
  for (const Family* f : {&kV4, &kV6}) {
    const std::string router = f == &kV4 ? "198.51.100.77" : "2001:db8:c::77";
    // About what the VIP sent: the backend learns of it.
    const Bytes to_vip = Error(router, f->vip, Frame(Between(f->vip, 80, f->client, 40000)));
    Run({to_vip});
    ASSERT_EQ(sent().size(), 1u);
    EXPECT_EQ(sent()[0].frame,
              To(OneHopLess(Error(router, f->backend, Frame(Between(f->backend, 80, f->client, 40000)))),
                 Backend(f->backend_mac)));
    // About what the client sent, by a router and by the backend.
    const Bytes quoted = Frame(Between(f->client, 40000, f->backend, 80));
    const Bytes for_client = Frame(Between(f->client, 40000, f->vip, 80));
    Run({Error(router, f->client, quoted), Error(f->backend, f->client, quoted)});
    ASSERT_EQ(sent().size(), 2u);
    EXPECT_EQ(sent()[0].frame, To(OneHopLess(Error(router, f->client, for_client)), kRouter));
    EXPECT_EQ(sent()[1].frame, To(OneHopLess(Error(f->vip, f->client, for_client)), kRouter));
  }
}

TEST_F(NatTest, ErrorsOfFullNatBothWays) {
  for (const Family* f : {&kV4, &kV6}) {
    const std::string router = f == &kV4 ? "198.51.100.77" : "2001:db8:c::77";
    const uint16_t local = BeginFull(*f);
    Run({Error(router, f->vip, Frame(Between(f->vip, 81, f->client, 40000)))});
    ASSERT_EQ(sent().size(), 1u);
    EXPECT_EQ(sent()[0].frame,
              To(OneHopLess(Error(f->local, f->backend, Frame(Between(f->backend, 81, f->local, local)))),
                 Backend(f->backend_mac)));
    const Bytes quoted = Frame(Between(f->local, local, f->backend, 81));
    const Bytes for_client = Frame(Between(f->client, 40000, f->vip, 81));
    Run({Error(router, f->local, quoted), Error(f->backend, f->local, quoted)});
    ASSERT_EQ(sent().size(), 2u);
    EXPECT_EQ(sent()[0].frame, To(OneHopLess(Error(router, f->client, for_client)), kRouter));
    EXPECT_EQ(sent()[1].frame, To(OneHopLess(Error(f->vip, f->client, for_client)), kRouter));
    // About flows that nobody has.
    ExpectDrop(Error(router, f->vip, Frame(Between(f->vip, 81, f->client, 1))), DropReason::kVipIcmp);
    ExpectDrop(Error(router, f->local, Frame(Between(f->local, 20007, f->backend, 1))), DropReason::kNatUnknownReply);
  }
}

}  // namespace
}  // namespace sluice::test::nat
