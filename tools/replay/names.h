#ifndef SLUICE_TOOLS_REPLAY_NAMES_H_
#define SLUICE_TOOLS_REPLAY_NAMES_H_

#include <string_view>

#include "dataplane/base/fate.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/stage/packet.h"

// The words that reports use, also as keys of JSON.
namespace sluice::replay {

constexpr std::string_view FateName(Fate fate) {
  switch (fate) {
    case Fate::kPending:
      return "pending";
    case Fate::kForwarded:
      return "forwarded";
    case Fate::kAnswered:
      return "answered";
    case Fate::kPunted:
      return "punted";
    case Fate::kSentForHost:
      return "sent_for_host";
    case Fate::kDropped:
      return "dropped";
    case Fate::kHandedOver:
      return "handed_over";
    case Fate::kBuffered:
      return "held";
  }
  return "";
}

using fwd::RungName;

// Beside the rungs: packets of known flows whose backend was gone.
inline constexpr std::string_view kRescheduled = "rescheduled";
// And those in whose timestamps there should have been a cookie, and none was.
inline constexpr std::string_view kCookiesRefused = "cookies_refused";
inline constexpr std::string_view kSecondChances = "second_chances";
inline constexpr std::string_view kCopied = "copied";
inline constexpr std::string_view kCopiesLimited = "copies_limited";

constexpr std::string_view PuntClassName(stage::PuntClass punt_class) {
  switch (punt_class) {
    case stage::PuntClass::kControl:
      return "control";
    case stage::PuntClass::kRouting:
      return "routing";
    case stage::PuntClass::kManagement:
      return "management";
    case stage::PuntClass::kIcmp:
      return "icmp";
    case stage::PuntClass::kOther:
      return "other";
  }
  return "";
}

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_NAMES_H_
