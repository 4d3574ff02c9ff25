#include "config/yaml_reader.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "config/text.h"

namespace sluice::config {
namespace {

std::string Describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return Quote(node.text);
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
  }
  return "";
}

// A key that is not ours goes into a path only if it looks like one of ours.
bool IsPlainKey(std::string_view key) {
  return !key.empty() && key.size() <= limits::kNameLength && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

bool IsPrintable(std::string_view key) {
  return !key.empty() && key.size() <= 2 * limits::kNameLength + 1 &&
         std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

YamlValue::YamlValue(const YamlNode* node, std::string path, Position position, ProblemLog* log)
    : node_(node), path_(std::move(path)), position_(position), log_(log) {
  log_->SetPosition(path_, position_);
}

bool YamlValue::HasNoTag() const {
  if (!node_->tagged) return true;
  Fail("has a YAML tag (a word that begins with \"!\"); write the value without it");
  return false;
}

const std::string* YamlValue::Scalar(std::string_view expected) const {
  if (!HasNoTag()) return nullptr;
  if (node_->kind == YamlNode::Kind::kScalar) return &node_->text;
  Fail(Cat(Describe(*node_), " stands where ", expected, " belongs",
           node_->kind == YamlNode::Kind::kNull ? "; write it, or remove the key" : ""));
  return nullptr;
}

const std::string* YamlValue::PlainScalar(std::string_view expected) const {
  const std::string* text = Scalar(expected);
  if (text == nullptr || !node_->quoted) return text;
  Fail(Cat(Quote(*text), " is text and not ", expected, "; write it without quotes"));
  return nullptr;
}

bool YamlValue::IsMapOrEmpty() const {
  if (!HasNoTag()) return false;
  if (node_->kind == YamlNode::Kind::kMap || node_->kind == YamlNode::Kind::kNull) return true;
  Fail(Cat(Describe(*node_), " stands where a map (\"key: value\") belongs"));
  return false;
}

bool YamlValue::IsReadableList() const {
  if (!HasNoTag()) return false;
  if (node_->kind != YamlNode::Kind::kList && node_->kind != YamlNode::Kind::kNull) {
    Fail(Cat(Describe(*node_), " stands where a list belongs; write \"[...]\" or a line with \"- \" for each item"));
    return false;
  }
  if (node_->items.size() <= limits::kListItems) return true;
  Fail(Cat("the list has ", node_->items.size(), " items; at most ", limits::kListItems, " are possible"));
  return false;
}

std::optional<size_t> YamlValue::FindWord(const std::vector<std::string_view>& names) const {
  const std::string* text = Scalar(Cat("one of ", JoinWithCommas(names)));
  if (text == nullptr) return std::nullopt;
  const auto found = std::find(names.begin(), names.end(), *text);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  const std::string_view closest = ClosestWord(*text, names);
  Fail(Cat(Quote(*text), " is not one of ", JoinWithCommas(names),
           closest.empty() ? "" : Cat("; did you mean ", closest, "?")));
  return std::nullopt;
}

void ReadText(const YamlValue& value, std::string* out) {
  if (const std::string* text = value.Scalar("text")) *out = *text;
}

void ReadBool(const YamlValue& value, bool* out) {
  const std::string* text = value.PlainScalar("true or false");
  if (text == nullptr) return;
  if (*text != "true" && *text != "false") {
    value.Fail(Cat(Quote(*text), " is neither true nor false; write true or false"));
    return;
  }
  *out = *text == "true";
}

void ReadAddress(const YamlValue& value, net::IpAddress* out) {
  const std::string* text = value.Scalar("an IP address");
  if (text == nullptr) return;
  if (const auto address = net::IpAddress::Parse(*text)) {
    *out = *address;
    return;
  }
  const bool is_prefix = text->find('/') != std::string::npos && net::IpPrefix::Parse(*text).has_value();
  value.Fail(Cat(Quote(*text), " is not an IP address; ",
                 is_prefix ? "leave out the prefix length" : "write it like 192.0.2.11 or \"2001:db8::11\""));
}

void ReadPrefix(const YamlValue& value, net::IpPrefix* out) {
  const std::string* text = value.Scalar("an IP address with prefix length");
  if (text == nullptr) return;
  const auto prefix = net::IpPrefix::Parse(*text);
  if (prefix && text->find('/') != std::string::npos) {
    *out = *prefix;
    return;
  }
  const std::string example = prefix ? Cat("add the length of the network's prefix, like \"", *text,
                                           prefix->address.is_v4() ? "/24" : "/64", "\"")
                                     : "write it like 192.0.2.2/24 or \"2001:db8::2/64\"";
  value.Fail(Cat(Quote(*text), " is not an IP address with prefix length; ", example));
}

void ReadAddressOrPrefix(const YamlValue& value, net::IpPrefix* out) {
  const std::string* text = value.Scalar("an IP address or prefix");
  if (text == nullptr) return;
  if (const auto prefix = net::IpPrefix::Parse(*text)) {
    *out = *prefix;
    return;
  }
  value.Fail(Cat(Quote(*text),
                 " is not an IP address or prefix; write it like 203.0.113.10, 203.0.113.0/24 or \"2001:db8::10\""));
}

void ReadMac(const YamlValue& value, net::MacAddress* out) {
  const std::string* text = value.Scalar("a MAC address");
  if (text == nullptr) return;
  const auto mac = net::MacAddress::Parse(*text);
  if (!mac) {
    value.Fail(Cat(Quote(*text), " is not a MAC address; write it like \"02:00:00:00:00:01\""));
    return;
  }
  *out = *mac;
}

std::optional<uint64_t> ReadWholeNumber(const YamlValue& value, const Range& range, uint64_t largest) {
  const std::string* text = value.PlainScalar("a whole number");
  if (text == nullptr) return std::nullopt;
  const bool digits =
      !text->empty() && std::all_of(text->begin(), text->end(), [](char c) { return c >= '0' && c <= '9'; });
  const bool negative = text->size() > 1 && text->front() == '-' &&
                        std::all_of(text->begin() + 1, text->end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits && !negative) {
    value.Fail(Cat(Quote(*text), " is not a whole number; give one from ", range.min, " to ", range.max));
    return std::nullopt;
  }
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (negative || error != std::errc() || number > largest) {
    value.Fail(OutOfRange(text->size() <= 20 ? *text : Quote(*text), range));
    return std::nullopt;
  }
  return number;
}

MapReader::MapReader(const YamlValue& map) : map_(map) {
  for (const auto& [key, value] : map.node_->entries) {
    if (key->kind != YamlNode::Kind::kScalar || key->tagged) {
      map.log_->Add(key->position, map.path(), Cat(Describe(*key), " is used as a key; keys are plain words"));
      continue;
    }
    const auto [it, is_new] = entries_.try_emplace(key->text, Entry{key, value});
    if (!is_new) {
      map.log_->Add(key->position, map.path(),
                    Cat("key ", Quote(key->text), " is given twice, first in line ", it->second.key->position.line,
                        "; keep one of them"));
    }
  }
}

std::optional<YamlValue> MapReader::Find(std::string_view key) {
  known_.push_back(key);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  const YamlNode* value = found->second.value;
  return YamlValue(value, KeyPath(map_.path(), key), value->position, map_.log_);
}

void MapReader::Others(const std::function<void(const std::string& key, const YamlValue& value)>& read) {
  const std::vector<std::string_view> named = known_;
  for (const auto& [key, value] : map_.node_->entries) {
    const auto entry = entries_.find(key->text);
    // The constructor reported keys that are no words and those that come again.
    if (entry == entries_.end() || entry->second.key != key) continue;
    if (std::find(named.begin(), named.end(), key->text) != named.end()) continue;
    known_.push_back(key->text);
    const std::string name = IsPrintable(key->text) ? key->text : Quote(key->text);
    read(key->text, YamlValue(value, KeyPath(map_.path(), name), value->position, map_.log_));
  }
}

void MapReader::Finish() {
  // A misspelt key explains why the right one is missing; one line says both.
  std::unordered_set<std::string_view> explained;
  for (const auto& [node_key, node_value] : map_.node_->entries) {
    const std::string& key = node_key->text;
    if (node_key->kind != YamlNode::Kind::kScalar || std::find(known_.begin(), known_.end(), key) != known_.end())
      continue;
    std::vector<std::string_view> unused;
    for (const std::string_view known : known_) {
      if (!entries_.contains(known)) unused.push_back(known);
    }
    const std::string_view closest = ClosestWord(key, unused);
    std::string hint = Cat("known here: ", JoinWithCommas(known_));
    if (!closest.empty()) hint = Cat("did you mean ", closest, "?");
    if (key == "<<") hint = "YAML's merge keys are not supported, write the values out";
    if (!closest.empty()) explained.insert(closest);
    map_.log_->Add(node_key->position, IsPlainKey(key) ? KeyPath(map_.path(), key) : map_.path(),
                   Cat("unknown key ", Quote(key), "; ", hint));
  }
  for (const auto& [key, example] : missing_) {
    const std::string path = KeyPath(map_.path(), key);
    if (explained.contains(key)) {
      map_.log_->MarkUnreadable(path);
    } else {
      map_.log_->AddUnreadable(map_.position_, path, Cat("is missing; add \"", key, ": ", example, "\""));
    }
  }
}

}  // namespace sluice::config
