#include "controlplane/rpc/request_check.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.h"
#include "controlplane/model/text.h"

namespace sluice::rpc {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using model::Cat;

// Where the message stands in the request; made into text only for a complaint.
struct Place {
  const Place* outer = nullptr;
  const FieldDescriptor* field = nullptr;
  int index = -1;

  std::string Text() const {
    if (field == nullptr) return "";
    // As all other complaints about a document call it.
    std::string text = field->name() == "desired" ? "services" : field->name();
    if (index >= 0) text = config::IndexPath(text, static_cast<size_t>(index));
    return outer->field == nullptr ? text : config::KeyPath(outer->Text(), text);
  }
};

absl::Status Wrong(const Place& place, std::string_view what) {
  return absl::InvalidArgumentError(Cat(place.Text(), ": ", what));
}

absl::Status CheckText(const std::string& text, const Place& place) {
  if (text.size() > kMaxTextBytes) {
    return Wrong(place, Cat("has ", text.size(), " bytes; give at most ", kMaxTextBytes));
  }
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_control)) return Wrong(place, "has a control character; remove it");
  return absl::OkStatus();
}

absl::Status CheckEnumerator(int number, const EnumDescriptor& kind, const Place& place) {
  if (kind.FindValueByNumber(number) != nullptr) return absl::OkStatus();
  std::string names;
  for (int i = 0; i < kind.value_count(); ++i) {
    if (kind.value(i)->number() != 0) names += Cat(names.empty() ? "" : ", ", kind.value(i)->name());
  }
  return Wrong(place, Cat(number, " is no ", kind.name(), " that this version knows; give one of ", names));
}

absl::Status CheckMessage(const Message& message, const Place& place);

// One value of the field at `place`.
absl::Status CheckValue(const Message& message, const Place& place) {
  const FieldDescriptor* field = place.field;
  const google::protobuf::Reflection* reflection = message.GetReflection();
  const bool repeated = field->is_repeated();
  std::string scratch;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return CheckText(repeated ? reflection->GetRepeatedStringReference(message, field, place.index, &scratch)
                                : reflection->GetStringReference(message, field, &scratch),
                       place);
    case FieldDescriptor::CPPTYPE_ENUM:
      return CheckEnumerator(repeated ? reflection->GetRepeatedEnumValue(message, field, place.index)
                                      : reflection->GetEnumValue(message, field),
                             *field->enum_type(), place);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return CheckMessage(repeated ? reflection->GetRepeatedMessage(message, field, place.index)
                                   : reflection->GetMessage(message, field),
                          place);
    default:
      return absl::OkStatus();
  }
}

absl::Status CheckMessage(const Message& message, const Place& place) {
  const google::protobuf::Reflection* reflection = message.GetReflection();
  if (const auto& unknown = reflection->GetUnknownFields(message); !unknown.empty()) {
    const std::string number = Cat("field ", unknown.field(0).number(), " of ", message.GetDescriptor()->name());
    return absl::InvalidArgumentError(
        Cat(place.field == nullptr ? number : Cat(place.Text(), ": ", number),
            ": this version does not know it, so what it asks for would not be done; leave it out, or update sluiced"));
  }
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const Place inner{.outer = &place, .field = field, .index = field->is_repeated() ? i : -1};
      if (absl::Status status = CheckValue(message, inner); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRequest(const Message& request) { return CheckMessage(request, Place()); }

}  // namespace sluice::rpc
