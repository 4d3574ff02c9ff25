#include "dataplane/lb/weighted_round_robin.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace sluice::lb {
namespace {

constexpr double kGoldenSection = 0.6180339887498949;

uint32_t Threshold(const TurnOrder& order, uint32_t round) {
  return 1 + static_cast<uint32_t>(uint64_t{round} * order.step % order.rounds);
}

}  // namespace

TurnOrder MakeTurnOrder(std::vector<TurnOrder::Member> members) {
  std::erase_if(members, [](const TurnOrder::Member& member) { return member.weight == 0; });
  std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.weight > b.weight; });
  TurnOrder order;
  if (members.empty()) return order;
  uint16_t common = 0;
  for (const TurnOrder::Member& member : members) common = std::gcd(common, member.weight);
  for (TurnOrder::Member& member : members) member.weight = static_cast<uint16_t>(member.weight / common);
  order.rounds = members.front().weight;
  order.step = std::max(1U, static_cast<uint32_t>(kGoldenSection * order.rounds));
  while (std::gcd(order.step, order.rounds) != 1) ++order.step;
  order.members = std::move(members);
  return order;
}

uint32_t TakeTurn(const TurnOrder& order, TurnCursor& cursor) {
  if (cursor.round >= order.rounds) cursor.round = 0;
  // The heaviest has a turn in every round.
  if (cursor.member >= order.members.size() || order.members[cursor.member].weight < Threshold(order, cursor.round)) {
    cursor.member = 0;
    cursor.round = (cursor.round + 1) % order.rounds;
  }
  return cursor.member++;
}

}  // namespace sluice::lb
