#ifndef SLUICE_CONFIG_YAML_READER_H_
#define SLUICE_CONFIG_YAML_READER_H_

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/limits.h"
#include "config/problem_log.h"
#include "config/yaml_document.h"
#include "dataplane/net/address.h"

// Reads a YamlDocument into plain values. What does not fit is reported with its path and position, and reading goes
// on; the value then keeps what it was before. Ranges and meaning are the business of validation.
namespace sluice::config {

class MapReader;

// A node of the document together with its path.
class YamlValue {
 public:
  YamlValue(const YamlNode* node, std::string path, Position position, ProblemLog* log);

  const std::string& path() const { return path_; }
  Position position() const { return position_; }
  // The value of this field is wrong as `message` says.
  void Fail(std::string message) const { log_->AddUnreadable(position_, path_, std::move(message)); }

  // The text of a scalar; nothing, and reported, if it is none. `expected` is what should stand here: "an IP address".
  const std::string* Scalar(std::string_view expected) const;
  // The same where text in quotes is a mistake.
  const std::string* PlainScalar(std::string_view expected) const;

  // Reads a map by `read(MapReader&)`. An empty value is an empty map, so that a section may be commented out.
  template <typename ReadFields>
  void Map(const ReadFields& read) const;

  // Appends an element to `out` for each item and reads it by `read(item, &element)`. The element stays when its item
  // is wrong, so that indices in paths and in `out` agree. An empty value is an empty list.
  template <typename T, typename Read>
  void List(std::vector<T>* out, const Read& read) const {
    if (!IsReadableList()) return;
    out->clear();
    for (size_t i = 0; i < node_->items.size(); ++i) {
      out->emplace_back();
      const YamlNode* item = node_->items[i];
      read(YamlValue(item, IndexPath(path_, i), item->position, log_), &out->back());
    }
  }

  // Reads one of a few words.
  template <typename Enum>
  void Word(const std::vector<std::pair<std::string_view, Enum>>& words, Enum* out) const {
    std::vector<std::string_view> names;
    for (const auto& [name, value] : words) names.push_back(name);
    if (const auto index = FindWord(names)) *out = words[*index].second;
  }

 private:
  friend class MapReader;
  bool IsMapOrEmpty() const;
  bool IsReadableList() const;
  bool HasNoTag() const;
  std::optional<size_t> FindWord(const std::vector<std::string_view>& names) const;

  const YamlNode* node_;
  std::string path_;
  Position position_;
  ProblemLog* log_;
};

void ReadText(const YamlValue& value, std::string* out);
// Only `true` and `false`.
void ReadBool(const YamlValue& value, bool* out);
void ReadAddress(const YamlValue& value, net::IpAddress* out);
// The prefix length must be written.
void ReadPrefix(const YamlValue& value, net::IpPrefix* out);
// Without a length: that of one address.
void ReadAddressOrPrefix(const YamlValue& value, net::IpPrefix* out);
void ReadMac(const YamlValue& value, net::MacAddress* out);

// A whole number in decimal digits; nothing, and reported, if it is none or larger than `largest`. The message names
// `range` as the remedy.
std::optional<uint64_t> ReadWholeNumber(const YamlValue& value, const Range& range, uint64_t largest);

// A reader of numbers for the fields of a map. The range itself is enforced by validation; here it is for the messages.
inline auto Number(const Range& range) {
  return [range](const YamlValue& value, auto* out) {
    using T = std::remove_pointer_t<decltype(out)>;
    if (const auto n = ReadWholeNumber(value, range, std::numeric_limits<T>::max())) *out = static_cast<T>(*n);
  };
}

// Makes a reader of values that may be unset from one of values; a wrong value counts as set.
template <typename Read>
auto Set(Read read) {
  return [read](const YamlValue& value, auto* out) { read(value, &out->emplace()); };
}

// Makes a reader of lists from one of elements.
template <typename Read>
auto ListOf(Read read) {
  return [read](const YamlValue& value, auto* out) { value.List(out, read); };
}

// The fields of one map. Each call names one key that may be there; what is there besides is reported at the end.
class MapReader {
 public:
  // Reports keys that occur twice.
  explicit MapReader(const YamlValue& map);

  // Reads the key by `read(value, out)` if it is there.
  template <typename T, typename Read>
  void Optional(std::string_view key, T* out, const Read& read) {
    if (const auto value = Find(key)) read(*value, out);
  }
  // The same, and it is a problem if it is not there. `example` completes "add `key: ...`".
  template <typename T, typename Read>
  void Required(std::string_view key, std::string_view example, T* out, const Read& read) {
    if (const auto value = Find(key)) {
      read(*value, out);
    } else {
      missing_.emplace_back(key, example);
    }
  }
  // For maps whose keys are names: reads each key that no call before it named, in the order of the file.
  void Others(const std::function<void(const std::string& key, const YamlValue& value)>& read);
  // The key may be there and is not looked at.
  void Ignore(std::string_view key) { known_.push_back(key); }

  // Reports keys that are missing and keys that nobody asked for.
  void Finish();

 private:
  struct Entry {
    const YamlNode* key;
    const YamlNode* value;
  };
  // Marks the key as known.
  std::optional<YamlValue> Find(std::string_view key);

  const YamlValue& map_;
  std::unordered_map<std::string_view, Entry> entries_;
  std::vector<std::string_view> known_;
  std::vector<std::pair<std::string_view, std::string_view>> missing_;
};

template <typename ReadFields>
void YamlValue::Map(const ReadFields& read) const {
  if (!IsMapOrEmpty()) return;
  MapReader fields(*this);
  read(fields);
  fields.Finish();
}

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_YAML_READER_H_
