#ifndef SLUICE_DATAPLANE_BASE_SCALED_INDEX_H_
#define SLUICE_DATAPLANE_BASE_SCALED_INDEX_H_

#include <cstddef>
#include <cstdint>

namespace sluice {

// An index into tables whose elements have different multiples of `unit` bytes: scaled by one shift for all of them.
template <size_t unit>
class ScaledIndex {
 public:
  explicit ScaledIndex(size_t index) : offset_(index * unit) {
    // Or the compiler would shift anew for each table.
    asm("" : "+r"(offset_));
  }
  // By what offset() gave.
  static ScaledIndex At(uint32_t offset) {
    ScaledIndex index;
    index.offset_ = offset;
    return index;
  }

  // Of indices that have 16 bits.
  uint32_t offset() const { return static_cast<uint32_t>(offset_); }
  size_t index() const { return offset_ / unit; }
  template <typename T>
  T& of(T* table) const {
    static_assert(sizeof(T) % unit == 0);
    return *reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(table) + offset_ * (sizeof(T) / unit));
  }

 private:
  ScaledIndex() = default;

  size_t offset_;
};

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_SCALED_INDEX_H_
