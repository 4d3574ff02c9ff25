#include "controlplane/rpc/call_timer.h"

#include <array>
#include <chrono>
#include <string>
#include <string_view>

namespace sluice::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kOurServices = "/sluice.v1.";

// By grpc::StatusCode.
constexpr std::array<std::string_view, 17> kCodes = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

std::string_view CodeName(grpc::StatusCode code) {
  const auto index = static_cast<size_t>(code);
  return index < kCodes.size() ? kCodes[index] : "UNKNOWN";
}

class CallTimer final : public grpc::experimental::Interceptor {
 public:
  CallTimer(model::CallStats& stats, std::string method) : stats_(stats), method_(std::move(method)) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      stats_.Record(method_, CodeName(methods->GetSendStatus().error_code()), Clock::now() - began_);
    }
    methods->Proceed();
  }

 private:
  model::CallStats& stats_;
  const std::string method_;
  const Clock::time_point began_ = Clock::now();
};

}  // namespace

grpc::experimental::Interceptor* CallTimerFactory::CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) {
  // Only methods that are registered come here, so their names are a closed list.
  const std::string_view path = info->method();
  if (info->type() != grpc::experimental::ServerRpcInfo::Type::UNARY || !path.starts_with(kOurServices)) return nullptr;
  return new CallTimer(stats_, std::string(path.substr(kOurServices.size())));
}

}  // namespace sluice::rpc
