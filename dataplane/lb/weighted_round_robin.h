#ifndef SLUICE_DATAPLANE_LB_WEIGHTED_ROUND_ROBIN_H_
#define SLUICE_DATAPLANE_LB_WEIGHTED_ROUND_ROBIN_H_

#include <cstdint>
#include <vector>

// Interleaved weighted round robin (after Katevenis, Sidiropoulos, Courcoubetis: "Weighted round-robin cell
// multiplexing in a general-purpose ATM switch chip", 1991), with the rounds in an order that spreads them.
namespace sluice::lb {

// Members and their turns. A cycle has as many rounds as the largest weight (weights divided by what they have in
// common), and in the round of threshold t each member of weight t or more has a turn. So a cycle gives each member as
// many turns as its weight says, members of equal weight alternate, and a heavy one's extra turns lie between the
// others' rather than in a row, because thresholds come in steps of about 0.618 of the largest weight.
struct TurnOrder {
  struct Member {
    uint16_t id = 0;
    uint16_t weight = 0;  // above 0
  };
  std::vector<Member> members;  // the heaviest first; of equal weight in the order that they were given in
  uint32_t rounds = 0;          // of a cycle
  uint32_t step = 1;            // prime to `rounds`
};

// Those of weight 0 are left out.
TurnOrder MakeTurnOrder(std::vector<TurnOrder::Member> members);

// Whose turn it is. A cursor of another order is as good as any: it goes on from a place of this one.
struct TurnCursor {
  uint32_t member = 0;
  uint32_t round = 0;
};

// The member whose turn it is, by its place among `members`, which must not be empty. O(1). Moves the cursor on.
uint32_t TakeTurn(const TurnOrder& order, TurnCursor& cursor);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_WEIGHTED_ROUND_ROBIN_H_
