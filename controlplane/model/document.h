#ifndef SLUICE_CONTROLPLANE_MODEL_DOCUMENT_H_
#define SLUICE_CONTROLPLANE_MODEL_DOCUMENT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/model/changes.h"
#include "controlplane/model/desired_state.h"
#include "controlplane/model/journal.h"
#include "controlplane/model/registry.h"

// The desired state as one document, for single changes of it and to keep it.
namespace sluice::model {

// Edits: each changes the document or says why it cannot, naming the object. `path` becomes where the object stands
// ("services.vips[3]"), in whose words validation complains.

// kAlreadyExists: there is one of the name.
absl::Status CreateVip(const DesiredVip& vip, DesiredState& document, std::string* path);
absl::Status CreatePool(const DesiredPool& pool, DesiredState& document, std::string* path);
// kNotFound: there is none of the name.
absl::Status UpdateVip(const DesiredVip& vip, DesiredState& document, std::string* path);
absl::Status UpdatePool(const DesiredPool& pool, DesiredState& document, std::string* path);
absl::Status UpdateBackend(std::string_view pool, const DesiredBackend& backend, DesiredState& document,
                           std::string* path);
absl::Status DeleteVip(std::string_view name, DesiredState& document);
// kFailedPrecondition: a VIP uses it, or it is a pool's backup.
absl::Status DeletePool(std::string_view name, DesiredState& document);

// `document` with the VIPs and backends that the registry has, which single changes touch without a document.
DesiredState DocumentOf(const Registry& registry, const DesiredState& document);
KeptState Keep(const Registry& registry, const DesiredState& document);

// The registry that a kept state stands for: ApplyDesired to an empty one, the operators' drains, and the cookie ids
// that rest.
absl::StatusOr<Change> Restore(const Registry& current, const KeptState& kept, const ChangeContext& context);

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_DOCUMENT_H_
