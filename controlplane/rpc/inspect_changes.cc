#include <algorithm>
#include <charconv>
#include <chrono>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/model/document.h"
#include "controlplane/model/text.h"
#include "controlplane/rpc/convert.h"
#include "controlplane/rpc/convert_stats.h"
#include "controlplane/rpc/grpc_status.h"
#include "controlplane/rpc/inspector.h"

// The part of Inspector about changes: history and events.
namespace sluice::rpc {
namespace {

using model::Cat;

// Each holds a thread of the server.
constexpr int kMaxWatchers = 64;
// How soon a client that has gone is noticed, and how often an idle stream says where it stands.
constexpr std::chrono::milliseconds kLookUp(500);
constexpr int kIdleRoundsToSpeak = 20;
constexpr size_t kBatch = 256;

// Tells places in one process' stream of events from those in another's.
const std::string& RunId() {
  static const std::string id = [] {
    std::random_device random;
    return Cat((uint64_t{random()} << 32) | random());
  }();
  return id;
}

v1::EventKind ToProto(model::EventKind kind) {
  switch (kind) {
    case model::EventKind::kChange:
      return v1::EVENT_KIND_CHANGE;
    case model::EventKind::kHealth:
      return v1::EVENT_KIND_HEALTH;
    case model::EventKind::kDrain:
      return v1::EVENT_KIND_DRAIN;
    case model::EventKind::kAlarm:
      break;
  }
  return v1::EVENT_KIND_ALARM;
}

bool IsWanted(const v1::WatchRequest& request, const model::Event& event) {
  if (!event.object.starts_with(request.object_prefix())) return false;
  return request.kinds().empty() ||
         std::find(request.kinds().begin(), request.kinds().end(), ToProto(event.kind)) != request.kinds().end();
}

void ToProto(const model::Event& event, v1::Event* message) {
  message->set_sequence(event.sequence);
  message->set_unix_ms(UnixMs(event.at));
  message->set_kind(ToProto(event.kind));
  message->set_object(event.object);
  message->set_message(event.message);
  message->set_user(event.user);
  message->set_version(event.version);
}

}  // namespace

std::string Inspector::ResumeText(uint64_t sequence) const { return Cat(RunId(), "-", sequence); }

grpc::Status Inspector::GetDesired(grpc::ServerContext* context, const v1::GetDesiredRequest* request,
                                   v1::GetDesiredResponse* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  const model::Snapshot now = source_.Current();
  if (request->version() == 0 || request->version() == now.version) {
    rpc::ToProto(model::DocumentOf(*now.registry, *now.document), response->mutable_desired());
    response->set_version(now.version);
  } else {
    const absl::StatusOr<model::KeptState> kept = options_.journal == nullptr
                                                      ? absl::NotFoundError("version: no history is kept")
                                                      : options_.journal->StateAt(request->version());
    if (!kept.ok()) return ToGrpc(kept.status());
    rpc::ToProto(kept->desired, response->mutable_desired());
    response->set_version(request->version());
  }
  response->mutable_desired()->clear_seed();
  for (v1::CookieKey& key : *response->mutable_desired()->mutable_cookie_keys()) key.clear_secret();
  for (v1::QuicConfig& quic : *response->mutable_desired()->mutable_quic_configs()) quic.clear_secret();
  return grpc::Status::OK;
}

grpc::Status Inspector::ListChanges(grpc::ServerContext* context, const v1::ListChangesRequest* request,
                                    v1::ListChangesResponse* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  if (options_.journal == nullptr) return grpc::Status::OK;
  for (const model::ChangeEntry& entry : options_.journal->Entries()) {
    if (request->limit() != 0 && static_cast<uint32_t>(response->changes_size()) == request->limit()) break;
    v1::ChangeRecord* record = response->add_changes();
    record->set_version(entry.version);
    record->set_unix_ms(UnixMs(entry.at));
    record->set_user(entry.author.user);
    record->set_action(entry.author.action);
    for (const std::string& line : entry.lines) record->add_changes(line);
    record->set_changes_total(static_cast<uint32_t>(entry.lines_total));
  }
  return grpc::Status::OK;
}

grpc::Status Inspector::Watch(grpc::ServerContext* context, const v1::WatchRequest* request,
                              grpc::ServerWriter<v1::WatchResponse>* writer) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  if (options_.events == nullptr) return ToGrpc(absl::UnimplementedError("this instance has no events"));
  uint64_t after = request->from_oldest() ? options_.events->before_oldest() : options_.events->newest();
  bool restarted = false;
  if (!request->resume().empty()) {
    const std::string& resume = request->resume();
    const size_t dash = resume.find('-');
    const auto [end, error] =
        std::from_chars(resume.data() + std::min(dash + 1, resume.size()), resume.data() + resume.size(), after);
    if (dash == std::string::npos || error != std::errc() || end != resume.data() + resume.size()) {
      return ToGrpc(absl::InvalidArgumentError(Cat("resume: \"", resume.substr(0, 64),
                                                   "\" is no place in the events; give that of an earlier answer, or "
                                                   "leave it empty")));
    }
    if (request->from_oldest()) {
      return ToGrpc(absl::InvalidArgumentError("from_oldest: contradicts `resume`; give one of them"));
    }
    if (resume.substr(0, dash) != RunId()) {
      restarted = true;
      after = options_.events->before_oldest();
    }
  }
  if (watchers_.fetch_add(1) >= kMaxWatchers) {
    watchers_.fetch_sub(1);
    return ToGrpc(
        absl::ResourceExhaustedError(Cat("Watch: ", kMaxWatchers, " clients watch already; end one of them")));
  }
  grpc::Status status = Follow(context, *request, after, restarted, writer);
  watchers_.fetch_sub(1);
  return status;
}

grpc::Status Inspector::Follow(grpc::ServerContext* context, const v1::WatchRequest& request, uint64_t after,
                               bool restarted, grpc::ServerWriter<v1::WatchResponse>* writer) {
  // The first answer says at once where the stream begins.
  v1::WatchResponse first;
  first.set_resume(ResumeText(after));
  first.set_restarted(restarted);
  if (!writer->Write(first)) return grpc::Status::CANCELLED;
  int idle_rounds = 0;
  while (!context->IsCancelled()) {
    const model::EventBus::Batch batch = options_.events->ReadAfter(after, kBatch, kLookUp);
    if (batch.closed) return ToGrpc(absl::UnavailableError("sluiced is stopping"));
    uint64_t missed = batch.missed;
    after += batch.missed;
    for (const model::Event& event : batch.events) {
      after = event.sequence;
      if (!IsWanted(request, event) && missed == 0) continue;
      v1::WatchResponse response;
      if (IsWanted(request, event)) ToProto(event, response.mutable_event());
      response.set_resume(ResumeText(after));
      response.set_missed(std::exchange(missed, 0));
      if (!writer->Write(response)) return grpc::Status::CANCELLED;
    }
    idle_rounds = batch.events.empty() ? idle_rounds + 1 : 0;
    if (idle_rounds < kIdleRoundsToSpeak) continue;
    idle_rounds = 0;
    v1::WatchResponse alive;
    alive.set_resume(ResumeText(after));
    if (!writer->Write(alive)) return grpc::Status::CANCELLED;
  }
  return grpc::Status::CANCELLED;
}

}  // namespace sluice::rpc
