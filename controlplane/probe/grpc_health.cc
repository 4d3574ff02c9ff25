#include "controlplane/probe/grpc_health.h"

namespace sluice::probe {
namespace {

constexpr size_t kPrefixBytes = 5;

void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) *out += static_cast<char>(value | 0x80);
  *out += static_cast<char>(value);
}

std::optional<uint64_t> TakeVarint(std::string_view* bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes->empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes->front());
    bytes->remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// Passes over a field's value; false: it is cut, or of a kind that there is none of.
bool SkipField(uint64_t wire_type, std::string_view* bytes) {
  size_t size = 0;
  if (wire_type == 0) return TakeVarint(bytes).has_value();
  if (wire_type == 1) {
    size = 8;
  } else if (wire_type == 5) {
    size = 4;
  } else if (wire_type == 2) {
    const auto length = TakeVarint(bytes);
    if (!length) return false;
    size = *length;
  } else {
    return false;
  }
  if (size > bytes->size()) return false;
  bytes->remove_prefix(size);
  return true;
}

}  // namespace

std::string GrpcHealthRequest(std::string_view service) {
  std::string message;
  if (!service.empty()) {
    message += '\x0a';  // field 1, a string
    AppendVarint(service.size(), &message);
    message += service;
  }
  std::string out(1, '\0');  // not compressed
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(message.size() >> shift);
  return out + message;
}

std::string_view ServingStatusName(ServingStatus status) {
  switch (status) {
    case ServingStatus::kUnknown:
      return "UNKNOWN";
    case ServingStatus::kServing:
      return "SERVING";
    case ServingStatus::kNotServing:
      return "NOT_SERVING";
    case ServingStatus::kServiceUnknown:
      return "SERVICE_UNKNOWN";
  }
  return "UNKNOWN";
}

std::optional<ServingStatus> ParseGrpcHealthResponse(std::string_view bytes) {
  if (bytes.size() < kPrefixBytes || bytes[0] != 0) return std::nullopt;
  size_t length = 0;
  for (size_t i = 1; i < kPrefixBytes; ++i) length = length << 8 | static_cast<uint8_t>(bytes[i]);
  bytes.remove_prefix(kPrefixBytes);
  if (length > bytes.size()) return std::nullopt;
  std::string_view message = bytes.substr(0, length);
  uint64_t status = 0;
  while (!message.empty()) {
    const auto key = TakeVarint(&message);
    if (!key) return std::nullopt;
    if (*key != 0x08) {  // field 1, an enumerator
      if (!SkipField(*key & 7, &message)) return std::nullopt;
      continue;
    }
    const auto value = TakeVarint(&message);
    if (!value) return std::nullopt;
    status = *value;
  }
  return status > 3 ? ServingStatus::kUnknown : static_cast<ServingStatus>(status);
}

}  // namespace sluice::probe
