#ifndef SLUICE_DATAPLANE_RUNTIME_MAIL_SLOT_H_
#define SLUICE_DATAPLANE_RUNTIME_MAIL_SLOT_H_

#include <atomic>
#include <cstdint>

#include "dataplane/fwd/flow_lookup.h"

namespace sluice::runtime {

// Room for one question to a worker and its answer. The worker polls it: one load while nobody asks. It never waits,
// and the memory is the slot's own, so a question that its asker gave up costs the worker nothing.
class MailSlot {
 public:
  MailSlot() = default;
  MailSlot(const MailSlot&) = delete;
  MailSlot& operator=(const MailSlot&) = delete;

  // One asker at a time, who has taken the answer to the last question or given it up. False: the worker has an earlier
  // question in hand.
  bool Ask(const fwd::FlowQuestion& question) {
    if (state_.load(std::memory_order_acquire) == State::kTaken) return false;
    question_ = question;
    state_.store(State::kAsked, std::memory_order_release);
    return true;
  }
  // True when the answer to the question asked last is in `finding`.
  bool TakeAnswer(fwd::FlowFinding* finding) {
    if (state_.load(std::memory_order_acquire) != State::kAnswered) return false;
    *finding = finding_;
    return true;
  }
  // Takes a question back that the worker has not begun with.
  void GiveUp() {
    State asked = State::kAsked;
    state_.compare_exchange_strong(asked, State::kEmpty, std::memory_order_acq_rel);
  }

  // The worker: answers the question that waits, if one does.
  template <typename Answer>
  void Serve(Answer&& answer) {
    State asked = State::kAsked;
    if (state_.load(std::memory_order_relaxed) != State::kAsked ||
        !state_.compare_exchange_strong(asked, State::kTaken, std::memory_order_acq_rel)) {
      return;
    }
    finding_ = answer(question_);
    state_.store(State::kAnswered, std::memory_order_release);
  }

 private:
  enum class State : uint8_t {
    kEmpty,
    kAsked,     // the question is the worker's to take
    kTaken,     // both are the worker's
    kAnswered,  // both are the asker's
  };
  std::atomic<State> state_ = State::kEmpty;
  fwd::FlowQuestion question_;
  fwd::FlowFinding finding_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_MAIL_SLOT_H_
