#include "controlplane/app/signals.h"

#include <pthread.h>

#include <csignal>
#include <initializer_list>

#include "dataplane/base/check.h"

namespace sluice::app {
namespace {

sigset_t SetOf(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

}  // namespace

void BlockSignals() {
  const sigset_t set = SetOf({SIGTERM, SIGINT, SIGHUP});
  SLUICE_CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  // A client that hangs up must not end the process.
  SLUICE_CHECK(std::signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

Signal WaitForSignal() {
  const sigset_t set = SetOf({SIGTERM, SIGINT, SIGHUP});
  int signal = 0;
  SLUICE_CHECK(sigwait(&set, &signal) == 0);
  return signal == SIGHUP ? Signal::kReload : Signal::kStop;
}

void UnblockStopSignals() {
  const sigset_t set = SetOf({SIGTERM, SIGINT});
  SLUICE_CHECK(pthread_sigmask(SIG_UNBLOCK, &set, nullptr) == 0);
}

}  // namespace sluice::app
