#ifndef SLUICE_TESTS_UNIT_CONFIG_KEY_FILE_H_
#define SLUICE_TESTS_UNIT_CONFIG_KEY_FILE_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace sluice::config {

inline constexpr std::string_view kSecret = "00112233445566778899aabbccddeeff";

// A file with the text, as long as the object lives.
class KeyFile {
 public:
  explicit KeyFile(std::string_view text) {
    const int fd = mkstemp(path_);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    close(fd);
  }
  ~KeyFile() { unlink(path_); }
  KeyFile(const KeyFile&) = delete;
  KeyFile& operator=(const KeyFile&) = delete;
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/sluice-key-XXXXXX";
};

}  // namespace sluice::config

#endif  // SLUICE_TESTS_UNIT_CONFIG_KEY_FILE_H_
