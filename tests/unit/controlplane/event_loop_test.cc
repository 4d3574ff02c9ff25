#include "controlplane/probe/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <optional>
#include <vector>

namespace sluice::probe {
namespace {

TEST(EventLoopTest, ATurnSeesAllThatIsReady) {
  constexpr int kDescriptors = 700;
  EventLoop loop;
  ASSERT_TRUE(loop.Open().ok());
  std::vector<int> descriptors;
  int seen = 0;
  for (int i = 0; i < kDescriptors; ++i) {
    descriptors.push_back(eventfd(1, EFD_CLOEXEC));
    ASSERT_GE(descriptors.back(), 0);
    loop.Watch(descriptors.back(), EPOLLIN, [&loop, &seen, fd = descriptors.back()](uint32_t) {
      ++seen;
      loop.Forget(fd);
    });
  }
  loop.Turn(std::nullopt);
  EXPECT_EQ(seen, kDescriptors);
  for (const int fd : descriptors) close(fd);
}

}  // namespace
}  // namespace sluice::probe
