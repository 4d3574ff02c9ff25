#ifndef SLUICE_DATAPLANE_BASE_STRONG_ID_H_
#define SLUICE_DATAPLANE_BASE_STRONG_ID_H_

#include <compare>
#include <cstddef>
#include <functional>
#include <limits>

namespace sluice {

// An integer that names one kind of thing. It is invalid until it is set, and converts to and from its representation
// only when asked to, so that a VIP's id can never index the backends.
template <typename Tag, typename Rep>
class StrongId {
 public:
  using rep = Rep;
  static constexpr Rep kInvalidValue = std::numeric_limits<Rep>::max();

  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}

  constexpr Rep value() const { return value_; }
  constexpr bool valid() const { return value_ != kInvalidValue; }
  // The id as an index into an array; only for valid ids.
  constexpr size_t index() const { return static_cast<size_t>(value_); }

  friend constexpr auto operator<=>(StrongId, StrongId) = default;

  template <typename H>
  friend H AbslHashValue(H h, StrongId id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  Rep value_ = kInvalidValue;
};

}  // namespace sluice

template <typename Tag, typename Rep>
struct std::hash<sluice::StrongId<Tag, Rep>> {
  size_t operator()(sluice::StrongId<Tag, Rep> id) const { return std::hash<Rep>{}(id.value()); }
};

#endif  // SLUICE_DATAPLANE_BASE_STRONG_ID_H_
