#ifndef SLUICE_DATAPLANE_BASE_ZEROED_ARRAY_H_
#define SLUICE_DATAPLANE_BASE_ZEROED_ARRAY_H_

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <type_traits>

#include "dataplane/base/check.h"

namespace sluice {

// A fixed number of objects that begin as zero bytes. The kernel gives a page of them when it is first written, so that
// an array by id for all ids there can be costs what the ids in use do, and making it costs nothing.
template <typename T>
class ZeroedArray {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

  explicit ZeroedArray(size_t count) : items_(static_cast<T*>(std::calloc(count, sizeof(T))), &std::free) {
    SLUICE_CHECK(items_ != nullptr);
  }

  T& operator[](size_t i) { return items_.get()[i]; }
  const T& operator[](size_t i) const { return items_.get()[i]; }

 private:
  std::unique_ptr<T, decltype(&std::free)> items_;
};

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_ZEROED_ARRAY_H_
