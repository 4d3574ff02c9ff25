#ifndef SLUICE_TOOLS_REPLAY_JSON_WRITER_H_
#define SLUICE_TOOLS_REPLAY_JSON_WRITER_H_

#include <array>
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <string>
#include <string_view>

namespace sluice::replay {

inline std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escape.data();
    } else {
      out += c;
    }
  }
  return out + '"';
}

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
    return out_ << Quoted(name) << ": ";
  }
  void Number(std::string_view name, uint64_t value) { Key(name) << value; }
  void Text(std::string_view name, std::string_view value) { Key(name) << Quoted(value); }
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
