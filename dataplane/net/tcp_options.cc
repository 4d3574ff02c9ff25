#include "dataplane/net/tcp_options.h"

#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"

namespace sluice::net {
namespace {

constexpr uint8_t kOptionsOffset = sizeof(TcpHeader);
constexpr uint8_t kOptionHeader = 2;  // kind and length
constexpr uint8_t kMssLength = 4;
constexpr uint8_t kTimestampsLength = 10;
constexpr uint8_t kSackBlock = 8;
constexpr uint16_t kFastOpenExperiment = 0xf989;  // RFC 7413, section 4.1.1

void ApplyDelta(uint8_t* tcp, uint8_t offset, const ChecksumDelta& delta) {
  (offset % 2 == 0 ? delta : delta.AtOddOffset()).ApplyTo(tcp + offsetof(TcpHeader, checksum));
}

template <typename T>
void ReplaceField(uint8_t* tcp, uint8_t offset, T value) {
  ChecksumDelta delta;
  delta.Replace(Load<T>(tcp + offset), value);
  Store(tcp + offset, value);
  ApplyDelta(tcp, offset, delta);
}

bool HoldsSackBlocks(const TcpOption& option) {
  return option.kind == kTcpOptionSack && (option.length - kOptionHeader) % kSackBlock == 0;
}

// Of a SACK option at `at`; see CutSackBlocks.
int CutBlocks(uint8_t* at, uint8_t length, uint32_t begin, uint32_t bytes) {
  int changed = 0;
  uint8_t kept = kOptionHeader;
  for (uint8_t block = kOptionHeader; block < length; block = static_cast<uint8_t>(block + kSackBlock)) {
    auto left = Load<Be32>(at + block);
    const auto right = Load<Be32>(at + block + sizeof(Be32));
    const bool begins_there = left.Host() - begin < bytes;
    changed += begins_there ? 1 : 0;
    if (begins_there && right.Host() - begin <= bytes) continue;
    if (begins_there) left = Be32::FromHost(begin + bytes);
    Store(at + kept, left);
    Store(at + kept + sizeof(Be32), right);
    kept = static_cast<uint8_t>(kept + kSackBlock);
  }
  if (kept == length) return changed;
  at[1] = kept;
  const uint8_t end = kept == kOptionHeader ? uint8_t{0} : kept;
  std::memset(at + end, kOptionNop, length - end);
  return changed;
}

void Blank(uint8_t* tcp, const TcpOption& option) {
  uint8_t* const at = tcp + option.offset;
  ChecksumDelta delta;
  delta.Remove(PartialSum(at, option.length));
  std::memset(at, kOptionNop, option.length);
  delta.Add(PartialSum(at, option.length));
  ApplyDelta(tcp, option.offset, delta);
}

TcpTimestamps TimestampsAt(const uint8_t* tcp, uint8_t option_offset) {
  TcpTimestamps found;
  found.value_offset = static_cast<uint8_t>(option_offset + kOptionHeader);
  found.echo_offset = static_cast<uint8_t>(found.value_offset + sizeof(Be32));
  found.value = Load<Be32>(tcp + found.value_offset);
  found.echo = Load<Be32>(tcp + found.echo_offset);
  return found;
}

}  // namespace

uint8_t TcpHeaderLength(const uint8_t* tcp, size_t size) {
  if (size < sizeof(TcpHeader)) return 0;
  const auto length = static_cast<uint8_t>((tcp[offsetof(TcpHeader, data_offset)] >> 4) * 4);
  return length >= sizeof(TcpHeader) && length <= size ? length : uint8_t{0};
}

TcpOptionWalk::TcpOptionWalk(const uint8_t* tcp, size_t size)
    : OptionWalk(tcp, kOptionsOffset, TcpHeaderLength(tcp, size)) {}

bool ClampMss(uint8_t* tcp, size_t size, uint16_t max_bytes) {
  if (TcpHeaderLength(tcp, size) == 0 || (tcp[offsetof(TcpHeader, flags)] & kTcpSyn) == 0) return false;
  bool changed = false;
  TcpOptionWalk walk(tcp, size);
  while (const auto option = walk.Next()) {
    if (option->kind != kTcpOptionMss || option->length != kMssLength) continue;
    const auto offset = static_cast<uint8_t>(option->offset + kOptionHeader);
    if (Load<Be16>(tcp + offset).Host() <= max_bytes) continue;
    ReplaceField(tcp, offset, Be16::FromHost(max_bytes).raw());
    changed = true;
  }
  return changed;
}

std::optional<TcpTimestamps> FindTimestamps(const uint8_t* tcp, size_t size) {
  if (TcpHeaderLength(tcp, size) != 0 && HasAlignedTimestamps(tcp)) return TimestampsAt(tcp, kAlignedTimestampsOffset);
  TcpOptionWalk walk(tcp, size);
  while (const auto option = walk.Next()) {
    if (option->kind == kTcpOptionTimestamps && option->length == kTimestampsLength) {
      return TimestampsAt(tcp, option->offset);
    }
  }
  return std::nullopt;
}

void ReplaceTcpField(uint8_t* tcp, uint8_t offset, Be32 value) { ReplaceField(tcp, offset, value.raw()); }

int ShiftSackBlocks(uint8_t* tcp, size_t size, uint32_t delta) {
  int blocks = 0;
  TcpOptionWalk walk(tcp, size);
  while (const auto option = walk.Next()) {
    if (!HoldsSackBlocks(*option)) continue;
    const auto end = static_cast<uint8_t>(option->offset + option->length);
    for (auto edge = static_cast<uint8_t>(option->offset + kOptionHeader); edge < end;
         edge = static_cast<uint8_t>(edge + sizeof(Be32))) {
      ReplaceField(tcp, edge, Be32::FromHost(Load<Be32>(tcp + edge).Host() + delta).raw());
    }
    blocks += (option->length - kOptionHeader) / kSackBlock;
  }
  return blocks;
}

int CutSackBlocks(uint8_t* tcp, size_t size, uint32_t begin, uint32_t bytes) {
  int changed = 0;
  TcpOptionWalk walk(tcp, size);
  while (const auto option = walk.Next()) {
    if (!HoldsSackBlocks(*option)) continue;
    uint8_t* const at = tcp + option->offset;
    ChecksumDelta delta;
    delta.Remove(PartialSum(at, option->length));
    changed += CutBlocks(at, option->length, begin, bytes);
    delta.Add(PartialSum(at, option->length));
    ApplyDelta(tcp, option->offset, delta);
  }
  return changed;
}

int StripTcpOption(uint8_t* tcp, size_t size, uint8_t kind) {
  int stripped = 0;
  TcpOptionWalk walk(tcp, size);
  while (const auto option = walk.Next()) {
    if (option->kind != kind) continue;
    Blank(tcp, *option);
    ++stripped;
  }
  return stripped;
}

int StripFastOpen(uint8_t* tcp, size_t size) {
  int stripped = StripTcpOption(tcp, size, kTcpOptionFastOpen);
  TcpOptionWalk walk(tcp, size);
  while (const auto option = walk.Next()) {
    if (option->kind != kTcpOptionExperiment || option->length < kOptionHeader + sizeof(Be16)) continue;
    if (Load<Be16>(tcp + option->offset + kOptionHeader).Host() != kFastOpenExperiment) continue;
    Blank(tcp, *option);
    ++stripped;
  }
  return stripped;
}

}  // namespace sluice::net
