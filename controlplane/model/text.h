#ifndef SLUICE_CONTROLPLANE_MODEL_TEXT_H_
#define SLUICE_CONTROLPLANE_MODEL_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "config/text.h"

namespace sluice::model {

using config::Cat;

// The text as a JSON string, quotes included. With `ascii_only` bytes beyond ASCII are escaped one by one: for text of
// which nobody knows whether it is UTF-8.
inline std::string JsonString(std::string_view text, bool ascii_only = false) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || (ascii_only && byte > 0x7e)) {
      absl::StrAppend(&out, "\\u", absl::Hex(byte, absl::kZeroPad4));
    } else {
      out += c;
    }
  }
  return out + '"';
}

// 16 hexadecimal digits.
inline std::string HexDigits(uint64_t value) { return absl::StrCat(absl::Hex(value, absl::kZeroPad16)); }

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_TEXT_H_
