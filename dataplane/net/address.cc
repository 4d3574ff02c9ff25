#include "dataplane/net/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "dataplane/base/check.h"

namespace sluice::net {

IpAddress IpAddress::V4(Be32 address) {
  const uint32_t raw = address.raw();
  return FromBytes(Family::kIpv4, reinterpret_cast<const uint8_t*>(&raw));
}

IpAddress IpAddress::FromBytes(Family family, const uint8_t* bytes) {
  IpAddress result;
  result.family_ = family;
  std::memcpy(result.bytes_.data(), bytes, result.size());
  return result;
}

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  const std::string terminated(text);
  // An embedded NUL would end the text early for inet_pton.
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  std::array<uint8_t, 16> bytes{};
  if (inet_pton(AF_INET, terminated.c_str(), bytes.data()) == 1) return FromBytes(Family::kIpv4, bytes.data());
  if (inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) return FromBytes(Family::kIpv6, bytes.data());
  return std::nullopt;
}

Be32 IpAddress::v4() const {
  SLUICE_DCHECK(is_v4());
  uint32_t raw = 0;
  std::memcpy(&raw, bytes_.data(), sizeof(raw));
  return Be32::FromRaw(raw);
}

bool IpAddress::IsUnspecified() const { return bytes_ == std::array<uint8_t, 16>{}; }

bool IpAddress::IsLoopback() const {
  if (is_v4()) return bytes_[0] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t b) { return b == 0; }) && bytes_[15] == 1;
}

bool IpAddress::IsMulticast() const { return is_v4() ? (bytes_[0] & 0xf0) == 0xe0 : bytes_[0] == 0xff; }

bool IpAddress::IsLinkLocal() const {
  if (is_v4()) return bytes_[0] == 169 && bytes_[1] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

std::string IpAddress::ToString() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (!is_v4()) {
    inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
    return text.data();
  }
  // inet_ntop's printf takes thirty times as long, and each change writes all of the backends' addresses.
  char* at = text.data();
  for (size_t i = 0; i < size(); ++i) {
    if (i > 0) *at++ = '.';
    at = std::to_chars(at, text.data() + text.size(), bytes_[i]).ptr;
  }
  return {text.data(), at};
}

std::optional<IpPrefix> IpPrefix::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const auto address = IpAddress::Parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return IpPrefix{*address, address->bits()};
  const std::string_view digits = text.substr(slash + 1);
  int length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc() || end != digits.data() + digits.size() || length < 0 || length > address->bits()) {
    return std::nullopt;
  }
  return IpPrefix{*address, length};
}

bool IpPrefix::Contains(const IpAddress& other) const {
  if (other.family() != address.family()) return false;
  const auto whole = static_cast<size_t>(length / 8);
  if (std::memcmp(address.data(), other.data(), whole) != 0) return false;
  const int rest = length % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff00 >> rest);
  return ((address.data()[whole] ^ other.data()[whole]) & mask) == 0;
}

IpPrefix IpPrefix::Network() const {
  std::array<uint8_t, 16> bytes{};
  for (int i = 0; i < static_cast<int>(address.size()); ++i) {
    const int kept = std::clamp(length - 8 * i, 0, 8);
    bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(address.data()[i] & 0xff << (8 - kept));
  }
  return {.address = IpAddress::FromBytes(address.family(), bytes.data()), .length = length};
}

std::string IpPrefix::ToString() const { return address.ToString() + "/" + std::to_string(length); }

std::optional<MacAddress> MacAddress::Parse(std::string_view text) {
  constexpr size_t kTextLength = 17;
  if (text.size() != kTextLength) return std::nullopt;
  std::array<uint8_t, 6> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char* digits = text.data() + 3 * i;
    if (i > 0 && digits[-1] != ':') return std::nullopt;
    const auto [end, error] = std::from_chars(digits, digits + 2, bytes[i], 16);
    if (error != std::errc() || end != digits + 2) return std::nullopt;
  }
  return MacAddress(bytes.data());
}

std::string MacAddress::ToString() const {
  std::array<char, 18> text{};
  std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", bytes_[0], bytes_[1], bytes_[2], bytes_[3],
                bytes_[4], bytes_[5]);
  return text.data();
}

}  // namespace sluice::net
