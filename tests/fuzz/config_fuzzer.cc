// The configuration loader on any text: no exception and no crash comes out, errors say where and what, and what loads
// is valid.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "config/load.h"
#include "config/validate.h"
#include "dataplane/base/check.h"

namespace {

void CheckError(const absl::Status& status) {
  SLUICE_CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  SLUICE_CHECK(!status.message().empty());
  // Foreign bytes in a message would reach a terminal.
  for (const char c : status.message()) SLUICE_CHECK(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = sluice::config::LoadText(text, "fuzz.yaml");
  if (config.ok()) {
    SLUICE_CHECK(sluice::config::ValidateConfig(*config).empty());
  } else {
    CheckError(config.status());
  }
  const auto services = sluice::config::LoadServicesText(text, "fuzz.yaml");
  if (services.ok()) {
    SLUICE_CHECK(sluice::config::ValidateServices(*services, sluice::config::SeedRule::kMayBeEmpty).empty());
    sluice::config::AdviseServices(*services);
  } else {
    CheckError(services.status());
  }
  // A complete file's services are services.
  if (config.ok()) SLUICE_CHECK(services.ok());
  return 0;
}
