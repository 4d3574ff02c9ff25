#ifndef SLUICE_TOOLS_REPLAY_JSON_WRITER_H_
#define SLUICE_TOOLS_REPLAY_JSON_WRITER_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

#include "controlplane/model/text.h"

namespace sluice::replay {

// Writes one JSON object of members, each with its comma.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::ostream& out) : out_(out) { out_ << '{'; }
  ObjectWriter(const ObjectWriter&) = delete;
  ObjectWriter& operator=(const ObjectWriter&) = delete;
  ~ObjectWriter() { out_ << '}'; }

  std::ostream& Key(std::string_view name) {
    if (!first_) out_ << ", ";
    first_ = false;
    return out_ << model::JsonString(name) << ": ";
  }
  void Number(std::string_view name, uint64_t value) { Key(name) << value; }
  void Text(std::string_view name, std::string_view value) { Key(name) << model::JsonString(value); }
  void Bool(std::string_view name, bool value) { Key(name) << (value ? "true" : "false"); }

 private:
  std::ostream& out_;
  bool first_ = true;
};

// Calls `write(element)` for each, in brackets and with commas.
template <typename List, typename Write>
void WriteArray(std::ostream& out, const List& list, const Write& write) {
  out << '[';
  bool first = true;
  for (const auto& element : list) {
    if (!first) out << ", ";
    first = false;
    write(element);
  }
  out << ']';
}

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_JSON_WRITER_H_
