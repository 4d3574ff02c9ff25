#ifndef SLUICE_CONTROLPLANE_MODEL_TEXT_H_
#define SLUICE_CONTROLPLANE_MODEL_TEXT_H_

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"

namespace sluice::model {

namespace internal {

template <typename T>
decltype(auto) ForAbseil(const T& value) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return absl::string_view(value.data(), value.size());
  } else {
    return (value);
  }
}

}  // namespace internal

// absl::StrCat, also for std::string_view, which the installed Abseil does not know.
template <typename... T>
std::string Cat(const T&... parts) {
  return absl::StrCat(internal::ForAbseil(parts)...);
}

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_TEXT_H_
