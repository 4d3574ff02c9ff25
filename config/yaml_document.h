#ifndef SLUICE_CONFIG_YAML_DOCUMENT_H_
#define SLUICE_CONFIG_YAML_DOCUMENT_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::config {

// Counted from 1; columns in bytes.
struct Position {
  int line = 1;
  int column = 1;
  friend auto operator<=>(const Position&, const Position&) = default;
};

struct YamlNode {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  bool quoted = false;  // a scalar in quotes or a block scalar: text, whatever it looks like
  bool tagged = false;  // has an explicit tag such as !!str
  Position position;
  std::string text;                                                  // kScalar
  std::vector<const YamlNode*> items;                                // kList
  std::vector<std::pair<const YamlNode*, const YamlNode*>> entries;  // kMap: key and value, in the order of the file
};

// One YAML document as a tree that keeps what a careful reader needs and yaml-cpp's own tree does not have: duplicate
// keys, the order, where each value stands, whether it was quoted. An alias is a second pointer to the same node, so a
// document of nested aliases costs no memory; what it would be in full is limited (limits.h), as is its size.
class YamlDocument {
 public:
  struct Error {
    Position position;
    std::string message;
  };

  YamlDocument() = default;
  YamlDocument(const YamlDocument&) = delete;
  YamlDocument& operator=(const YamlDocument&) = delete;

  // Parses the text, which must be one document in UTF-8 without control characters. Call it once.
  std::optional<Error> Parse(std::string_view text);

  // After a successful Parse; an empty text is kNull. Lives as long as the document.
  const YamlNode& root() const { return *root_; }

 private:
  class Builder;

  std::deque<YamlNode> nodes_;
  const YamlNode* root_ = nullptr;
};

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_YAML_DOCUMENT_H_
