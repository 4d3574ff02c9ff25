#include <grpcpp/client_context.h>

#include <string>

#include "config/text.h"
#include "tools/sluicectl/change.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/run.h"
#include "tools/sluicectl/units.h"

namespace sluice::ctl {
namespace {

std::string_view KindText(v1::EventKind kind) {
  switch (kind) {
    case v1::EVENT_KIND_CHANGE:
      return "change";
    case v1::EVENT_KIND_HEALTH:
      return "health";
    case v1::EVENT_KIND_DRAIN:
      return "drain";
    case v1::EVENT_KIND_ALARM:
      return "ALARM";
    default:
      return "event";  // of a newer server
  }
}

}  // namespace

absl::Status RunWatch(Invocation& invocation) {
  v1::WatchRequest request;
  if (!invocation.operands.empty()) request.set_object_prefix(invocation.operands[0]);
  request.set_from_oldest(invocation.arguments.Has("from-oldest"));
  request.set_resume(invocation.arguments.Get("resume", ""));
  absl::StatusOr<Client> client = Client::Connect(invocation.server, invocation.tls);
  if (!client.ok()) return client.status();
  grpc::ClientContext context;
  const auto stream = client->inspector().Watch(&context, request);
  v1::WatchResponse response;
  while (stream->Read(&response)) {
    if (invocation.json) {
      if (invocation.yaml) invocation.out << "---\n";  // a document for each
      PrintMessage(response, invocation);
    } else {
      if (response.restarted()) invocation.out << "sluiced was restarted since; earlier events are forgotten\n";
      if (response.missed() > 0) invocation.out << response.missed() << " events were missed\n";
      const v1::Event& event = response.event();
      if (response.has_event()) {
        invocation.out << UtcTime(event.unix_ms()) << "  " << KindText(event.kind()) << "  "
                       << (event.user().empty() ? "" : event.user() + ": ") << event.message() << "\n";
      }
    }
    invocation.out.flush();
    if (!invocation.out) return absl::OkStatus();  // who reads has gone
  }
  return client->FromGrpc(stream->Finish());
}

}  // namespace sluice::ctl
