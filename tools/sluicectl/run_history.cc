#include <iostream>
#include <iterator>
#include <string>

#include "config/dump.h"
#include "config/load.h"
#include "config/text.h"
#include "controlplane/rpc/convert.h"
#include "tools/sluicectl/change.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/run.h"
#include "tools/sluicectl/table.h"
#include "tools/sluicectl/units.h"

// The commands about whole states and their history.
namespace sluice::ctl {
namespace {

using config::Cat;

absl::StatusOr<config::ServiceConfig> LoadDesired(const Invocation& invocation) {
  if (!invocation.arguments.Has("file")) {
    return UsageError("-f FILE is missing; - reads standard input");
  }
  const std::string file = invocation.arguments.Get("file", "");
  if (file != "-") return config::LoadServicesFile(file);
  const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  return config::LoadServicesText(text, "standard input");
}

void PrintImpact(const v1::Impact& impact, std::ostream& out) {
  out << "slots that move: " << HumanShare(impact.slots_moved());
  for (const auto& [pool, share] : impact.slots_moved_by_pool()) out << ", " << pool << " " << HumanShare(share);
  out << "\nlive flows on backends that go: " << HumanCount(impact.flows_on_removed())
      << "\nmemory: " << HumanBytes(impact.state_bytes()) << " of " << HumanBytes(impact.available_bytes())
      << (impact.fits() ? ", fits" : ", DOES NOT FIT") << "\n";
}

void PrintApplied(const v1::ApplyResponse& response, bool dry_run, std::ostream& out) {
  for (const std::string& line : response.changes()) out << line << "\n";
  if (response.changes().empty()) {
    out << "nothing differs, version " << response.version() << " stays\n";
    return;
  }
  if (dry_run) {
    PrintImpact(response.impact(), out);
    return;
  }
  out << "applied " << response.changes_size() << (response.changes_size() == 1 ? " change" : " changes")
      << ", version " << response.version() << ", state generation " << response.state_generation() << "\n";
}

absl::Status Apply(Invocation& invocation, bool dry_run, v1::ApplyResponse* answer) {
  const absl::StatusOr<config::ServiceConfig> desired = LoadDesired(invocation);
  if (!desired.ok()) return desired.status();
  const absl::StatusOr<uint64_t> expected = ReadNumber("--expect", invocation.arguments.Get("expect", "0"));
  if (!expected.ok()) return expected.status();
  v1::ApplyRequest request;
  rpc::ToProto(*desired, request.mutable_desired());
  request.set_dry_run(dry_run);
  request.set_expected_version(*expected);
  absl::StatusOr<Client> client = Client::Connect(invocation.server, invocation.tls);
  if (!client.ok()) return client.status();
  if (absl::Status status = client->Call(&v1::Manager::Stub::Apply, request, answer); !status.ok()) return status;
  if (invocation.json) {
    PrintMessage(*answer, invocation);
  } else {
    PrintApplied(*answer, dry_run, invocation.out);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunApply(Invocation& invocation) {
  v1::ApplyResponse answer;
  return Apply(invocation, invocation.arguments.Has("dry-run"), &answer);
}

absl::Status RunDiff(Invocation& invocation) {
  v1::ApplyResponse answer;
  if (absl::Status status = Apply(invocation, true, &answer); !status.ok()) return status;
  if (answer.changes().empty()) return absl::OkStatus();
  return Failure(kExitDiffers, absl::StatusCode::kFailedPrecondition, "something differs");
}

absl::Status RunRollback(Invocation& invocation) {
  const absl::StatusOr<uint64_t> version = ReadNumber("VERSION", invocation.operands[0]);
  if (!version.ok()) return version.status();
  const absl::StatusOr<uint64_t> expected = ReadNumber("--expect", invocation.arguments.Get("expect", "0"));
  if (!expected.ok()) return expected.status();
  v1::RollbackRequest request;
  request.set_to_version(*version);
  request.set_expected_version(*expected);
  request.set_dry_run(invocation.arguments.Has("dry-run"));
  return Change<v1::Manager::Stub, v1::RollbackRequest, v1::ApplyResponse>(
      invocation, &v1::Manager::Stub::Rollback, request,
      [&](const v1::ApplyResponse& response) { PrintApplied(response, request.dry_run(), invocation.out); });
}

absl::Status RunHistory(Invocation& invocation) {
  const absl::StatusOr<uint64_t> limit = ReadNumber("--limit", invocation.arguments.Get("limit", "0"), 0, UINT32_MAX);
  if (!limit.ok()) return limit.status();
  v1::ListChangesRequest request;
  request.set_limit(static_cast<uint32_t>(*limit));
  return Change<v1::Inspector::Stub, v1::ListChangesRequest, v1::ListChangesResponse>(
      invocation, &v1::Inspector::Stub::ListChanges, request, [&](const v1::ListChangesResponse& response) {
        Table table({{"VERSION", Align::kRight}, {"TIME"}, {"USER"}, {"ACTION"}, {"CHANGE"}});
        for (const v1::ChangeRecord& change : response.changes()) {
          std::string text = change.changes().empty() ? "nothing that shows" : change.changes(0);
          if (change.changes_total() > 1) text += Cat(" (and ", change.changes_total() - 1, " more)");
          table.AddRow(
              {std::to_string(change.version()), UtcTime(change.unix_ms()), change.user(), change.action(), text});
        }
        table.Print(invocation.out);
      });
}

absl::Status RunExport(Invocation& invocation) {
  const absl::StatusOr<uint64_t> version = ReadNumber("--version-of", invocation.arguments.Get("version-of", "0"));
  if (!version.ok()) return version.status();
  v1::GetDesiredRequest request;
  request.set_version(*version);
  absl::Status converted;
  absl::Status called = Change<v1::Inspector::Stub, v1::GetDesiredRequest, v1::GetDesiredResponse>(
      invocation, &v1::Inspector::Stub::GetDesired, request, [&](const v1::GetDesiredResponse& response) {
        const absl::StatusOr<config::ServiceConfig> services = rpc::FromProto(response.desired());
        converted = services.status();
        if (services.ok()) invocation.out << config::DumpServices(*services);
      });
  return called.ok() ? converted : called;
}

}  // namespace sluice::ctl
