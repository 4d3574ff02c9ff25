#ifndef SLUICE_DATAPLANE_NET_OPTION_WALK_H_
#define SLUICE_DATAPLANE_NET_OPTION_WALK_H_

#include <cstdint>
#include <optional>

namespace sluice::net {

// An option of an IPv4 (RFC 791) or TCP (RFC 9293) header: both have the same form.
struct HeaderOption {
  uint8_t kind = 0;
  uint8_t offset = 0;  // of its first byte, the kind, from the header's first
  uint8_t length = 0;  // in bytes, kind and length included; at least 2
};

inline constexpr uint8_t kOptionEnd = 0;
inline constexpr uint8_t kOptionNop = 1;

// A walk over the options of one header, in their order; NOPs are passed over. Reads nothing beyond the options.
//
//     OptionWalk walk(header, fixed_length, header_length);
//     while (const auto option = walk.Next()) ...
//     if (walk.malformed()) ...
class OptionWalk {
 public:
  // The options lie in [begin, end) of `header`; nothing at all is read when `end` is less than `begin`, and the header
  // counts as malformed.
  OptionWalk(const uint8_t* header, uint8_t begin, uint8_t end)
      : header_(header), at_(begin), end_(end), malformed_(end < begin) {}

  // Nothing after the last option, at an end-of-list, and at a malformed option.
  std::optional<HeaderOption> Next() {
    while (at_ < end_ && header_[at_] == kOptionNop) ++at_;
    if (at_ >= end_ || header_[at_] == kOptionEnd) {
      at_ = end_;
      return std::nullopt;
    }
    constexpr uint8_t kKindAndLength = 2;
    const int left = end_ - at_;
    if (left < kKindAndLength || header_[at_ + 1] < kKindAndLength || header_[at_ + 1] > left) {
      malformed_ = true;
      at_ = end_;
      return std::nullopt;
    }
    const HeaderOption option = {.kind = header_[at_], .offset = at_, .length = header_[at_ + 1]};
    at_ = static_cast<uint8_t>(at_ + option.length);
    return option;
  }

  // The walk met an option that is cut or lies about its length. What Next gave before is still good.
  bool malformed() const { return malformed_; }

 private:
  const uint8_t* header_;
  uint8_t at_;
  uint8_t end_;
  bool malformed_;
};

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_OPTION_WALK_H_
