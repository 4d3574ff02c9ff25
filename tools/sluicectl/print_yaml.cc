#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

#include "tools/sluicectl/print.h"

namespace sluice::ctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Plain where no reader of YAML 1.1 or 1.2 can take it for anything but a string, else in double quotes.
std::string YamlString(const std::string& text) {
  static constexpr std::string_view kReserved[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const bool plain = !text.empty() && std::isalpha(static_cast<unsigned char>(text[0])) != 0 &&
                     std::all_of(text.begin(), text.end(),
                                 [](unsigned char c) {
                                   return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
                                 }) &&
                     std::find(std::begin(kReserved), std::end(kReserved), lower) == std::end(kReserved);
  if (plain) return text;
  // JSON's strings are YAML's.
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      static constexpr char kHex[] = "0123456789abcdef";
      quoted += "\\x";
      quoted += kHex[byte >> 4];
      quoted += kHex[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string DoubleText(double value) {
  std::string text(32, '\0');
  text.resize(static_cast<size_t>(std::snprintf(text.data(), text.size(), "%.17g", value)));
  // The shortest that reads back as the same.
  for (int digits = 1; digits < 17; ++digits) {
    char shorter[32];
    std::snprintf(shorter, sizeof(shorter), "%.*g", digits, value);
    if (std::strtod(shorter, nullptr) == value) return shorter;
  }
  return text;
}

// `index`: of a repeated field's item; -1: the field is not repeated.
std::string ScalarText(const Message& message, const FieldDescriptor* field, int index) {
  const Reflection* r = message.GetReflection();
  const bool one = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(one ? r->GetInt32(message, field) : r->GetRepeatedInt32(message, field, index));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(one ? r->GetInt64(message, field) : r->GetRepeatedInt64(message, field, index));
    case FieldDescriptor::CPPTYPE_UINT32:
      return std::to_string(one ? r->GetUInt32(message, field) : r->GetRepeatedUInt32(message, field, index));
    case FieldDescriptor::CPPTYPE_UINT64:
      return std::to_string(one ? r->GetUInt64(message, field) : r->GetRepeatedUInt64(message, field, index));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (one ? r->GetBool(message, field) : r->GetRepeatedBool(message, field, index)) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return (one ? r->GetEnum(message, field) : r->GetRepeatedEnum(message, field, index))->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return YamlString(one ? r->GetString(message, field) : r->GetRepeatedString(message, field, index));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return DoubleText(one ? r->GetDouble(message, field) : r->GetRepeatedDouble(message, field, index));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return DoubleText(
          static_cast<double>(one ? r->GetFloat(message, field) : r->GetRepeatedFloat(message, field, index)));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return "";
}

std::vector<std::string> Lines(const Message& message);

void Append(const std::vector<std::string>& lines, const std::string& first, const std::string& others,
            std::vector<std::string>& out) {
  for (size_t i = 0; i < lines.size(); ++i) out.push_back((i == 0 ? first : others) + lines[i]);
}

void AppendMap(const Message& message, const FieldDescriptor* field, std::vector<std::string>& out) {
  const Reflection* r = message.GetReflection();
  std::vector<std::string> entries;
  for (int i = 0; i < r->FieldSize(message, field); ++i) {
    const Message& entry = r->GetRepeatedMessage(message, field, i);
    const FieldDescriptor* value = field->message_type()->map_value();
    std::string line = "  " + ScalarText(entry, field->message_type()->map_key(), -1) + ":";
    if (value->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      entries.push_back(line + " " + ScalarText(entry, value, -1));
    }
  }
  std::sort(entries.begin(), entries.end());  // maps have no order of their own
  out.push_back(field->name() + (entries.empty() ? ": {}" : ":"));
  out.insert(out.end(), entries.begin(), entries.end());
}

void AppendField(const Message& message, const FieldDescriptor* field, std::vector<std::string>& out) {
  const Reflection* r = message.GetReflection();
  const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (field->is_map()) return AppendMap(message, field, out);
  if (field->is_repeated()) {
    const int count = r->FieldSize(message, field);
    out.push_back(field->name() + (count == 0 ? ": []" : ":"));
    for (int i = 0; i < count; ++i) {
      if (is_message) {
        Append(Lines(r->GetRepeatedMessage(message, field, i)), "- ", "  ", out);
      } else {
        out.push_back("- " + ScalarText(message, field, i));
      }
    }
    return;
  }
  if (field->has_presence() && !r->HasField(message, field)) return;
  if (!is_message) {
    out.push_back(field->name() + ": " + ScalarText(message, field, -1));
    return;
  }
  const std::vector<std::string> inner = Lines(r->GetMessage(message, field));
  if (inner.size() == 1 && inner[0] == "{}") {
    out.push_back(field->name() + ": {}");
    return;
  }
  out.push_back(field->name() + ":");
  Append(inner, "  ", "  ", out);
}

// A message without anything to show is "{}".
std::vector<std::string> Lines(const Message& message) {
  std::vector<std::string> lines;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    AppendField(message, message.GetDescriptor()->field(i), lines);
  }
  if (lines.empty()) lines.emplace_back("{}");
  return lines;
}

}  // namespace

void PrintYaml(const Message& message, std::ostream& out) {
  for (const std::string& line : Lines(message)) out << line << "\n";
}

void PrintMessage(const Message& message, const Invocation& invocation) {
  if (invocation.yaml) {
    PrintYaml(message, invocation.out);
  } else {
    PrintJson(message, invocation.out);
  }
}

}  // namespace sluice::ctl
