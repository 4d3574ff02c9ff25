#include "dataplane/base/drop_reason.h"

#include <array>

namespace sluice {
namespace {

constexpr std::array<std::string_view, kDropReasonCount> kLabels = {
#define SLUICE_X(symbol, label, help) label,
    SLUICE_DROP_REASONS(SLUICE_X)
#undef SLUICE_X
};

constexpr std::array<std::string_view, kDropReasonCount> kHelps = {
#define SLUICE_X(symbol, label, help) help,
    SLUICE_DROP_REASONS(SLUICE_X)
#undef SLUICE_X
};

}  // namespace

std::string_view DropReasonLabel(DropReason reason) { return kLabels.at(static_cast<size_t>(reason)); }
std::string_view DropReasonHelp(DropReason reason) { return kHelps.at(static_cast<size_t>(reason)); }

}  // namespace sluice
