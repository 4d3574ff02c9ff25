#include "config/yaml_document.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <sstream>
#include <string>
#include <unordered_map>

#include "absl/strings/str_format.h"
#include "config/limits.h"
#include "config/text.h"

namespace sluice::config {
namespace {

Position ToPosition(const YAML::Mark& mark) { return {std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1}; }

// Length of the UTF-8 sequence at the start of `text`, which is not empty; 0 when it is not one (RFC 3629: shortest
// form, no surrogates, nothing above U+10FFFF).
size_t Utf8SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const auto continues = [&](size_t i, uint8_t low = 0x80, uint8_t high = 0xbf) {
    return byte(i) >= low && byte(i) <= high;
  };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
  if ((lead & 0xf0) == 0xe0) {
    const uint8_t low = lead == 0xe0 ? 0xa0 : 0x80;
    const uint8_t high = lead == 0xed ? 0x9f : 0xbf;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const uint8_t low = lead == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = lead == 0xf4 ? 0x8f : 0xbf;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

// yaml-cpp guesses other encodings, replaces what is no UTF-8, and takes the byte 0x04 for the end of the file, after
// which the rest of the configuration would be ignored without a word. So such bytes do not get that far.
std::optional<YamlDocument::Error> CheckBytes(std::string_view text) {
  Position position;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const size_t length = Utf8SequenceLength(text.substr(i));
    if (length == 0) {
      return YamlDocument::Error{
          position, absl::StrFormat("the byte 0x%02x does not belong to UTF-8 text; save the file as UTF-8", byte)};
    }
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f) {
      return YamlDocument::Error{position,
                                 absl::StrFormat("the control character 0x%02x is not allowed; remove it", byte)};
    }
    if (byte == '\n') {
      ++position.line;
      position.column = 1;
    } else {
      position.column += static_cast<int>(length);
    }
    i += length;
  }
  return std::nullopt;
}

// The parser's words for a tab in the indentation lead nowhere.
std::string_view SyntaxHint(std::string_view text, int line) {
  for (int i = 1; i < line && !text.empty(); ++i) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  const std::string_view indentation = text.substr(0, text.find_first_not_of(" \t"));
  if (indentation.find('\t') != std::string_view::npos) return "; indent with spaces instead of tabs";
  return "; check indentation, quotes and brackets here and above";
}

}  // namespace

// Builds the tree from the parser's events. It stops the parser in the only way there is, by the parser's own
// exception, which Parse catches.
class YamlDocument::Builder : public YAML::EventHandler {
 public:
  explicit Builder(std::deque<YamlNode>* nodes) : nodes_(nodes) {}
  const YamlNode* root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode* node = NewNode(YamlNode::Kind::kNull, mark, "", anchor);
    // The parser sees that a value is missing only further down; its key is where the reader should look.
    if (!open_.empty() && open_.back().key != nullptr) node->position = open_.back().key->position;
    Attach(node, 1, mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end() || found->second.size == 0) {
      throw YAML::ParserException(mark, "the alias stands inside of what it refers to");
    }
    Attach(found->second.node, found->second.size, mark);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode* node = NewNode(YamlNode::Kind::kScalar, mark, tag, anchor);
    node->text = value;
    node->quoted = tag == "!";
    Attach(node, 1, mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(NewNode(YamlNode::Kind::kList, mark, tag, anchor), anchor, mark);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(NewNode(YamlNode::Kind::kMap, mark, tag, anchor), anchor, mark);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Anchor {
    const YamlNode* node = nullptr;
    size_t size = 0;  // 0: not complete yet
  };
  struct OpenNode {
    YamlNode* node;
    YAML::anchor_t anchor;
    YAML::Mark mark;
    size_t size;          // values in it so far, aliases written out
    const YamlNode* key;  // of a map, whose value comes next
  };

  YamlNode* NewNode(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    YamlNode* node = &nodes_->emplace_back();
    node->kind = kind;
    node->position = ToPosition(mark);
    // "?" stands for a plain node and "!" for a quoted scalar, neither with a tag of its own.
    node->tagged = !tag.empty() && tag != "?" && tag != "!";
    if (anchor != 0) anchors_[anchor] = {node, kind == YamlNode::Kind::kList || kind == YamlNode::Kind::kMap ? 0u : 1u};
    return node;
  }

  void Open(YamlNode* node, YAML::anchor_t anchor, const YAML::Mark& mark) {
    open_.push_back({node, anchor, mark, 1, nullptr});
  }

  void Close() {
    const OpenNode closed = open_.back();
    open_.pop_back();
    if (closed.anchor != 0) anchors_[closed.anchor].size = closed.size;
    Attach(closed.node, closed.size, closed.mark);
  }

  void Attach(const YamlNode* node, size_t size, const YAML::Mark& mark) {
    if (open_.empty()) {
      root_ = node;
      return;
    }
    OpenNode& parent = open_.back();
    parent.size += size;
    if (parent.size > limits::kDocumentValues) {
      throw YAML::ParserException(
          mark, Cat("the document has more than ", limits::kDocumentValues, " values, counting aliases in full"));
    }
    if (parent.node->kind == YamlNode::Kind::kList) {
      parent.node->items.push_back(node);
    } else if (parent.key == nullptr) {
      parent.key = node;
    } else {
      parent.node->entries.emplace_back(parent.key, node);
      parent.key = nullptr;
    }
  }

  std::deque<YamlNode>* nodes_;
  const YamlNode* root_ = nullptr;
  std::vector<OpenNode> open_;
  std::unordered_map<YAML::anchor_t, Anchor> anchors_;
};

std::optional<YamlDocument::Error> YamlDocument::Parse(std::string_view text) {
  if (text.size() > limits::kFileBytes) {
    return Error{{}, Cat("the document is larger than ", limits::kFileBytes, " bytes")};
  }
  if (auto error = CheckBytes(text)) return error;
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    Builder builder(&nodes_);
    parser.HandleNextDocument(builder);
    root_ = builder.root() != nullptr ? builder.root() : &nodes_.emplace_back();
    Builder rest(&nodes_);
    if (parser.HandleNextDocument(rest)) {
      return Error{rest.root() != nullptr ? rest.root()->position : Position{},
                   "a second YAML document begins here; keep one document in a file"};
    }
  } catch (const YAML::DeepRecursion& e) {
    return Error{ToPosition(e.mark), "not valid: lists and maps are nested too deeply"};
  } catch (const YAML::Exception& e) {
    const Position position = ToPosition(e.mark);
    return Error{position, Cat("not valid YAML: ", e.msg, SyntaxHint(text, position.line))};
  } catch (const std::exception& e) {
    return Error{{}, Cat("not valid YAML: ", e.what())};
  }
  return std::nullopt;
}

}  // namespace sluice::config
