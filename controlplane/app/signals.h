#ifndef SLUICE_CONTROLPLANE_APP_SIGNALS_H_
#define SLUICE_CONTROLPLANE_APP_SIGNALS_H_

namespace sluice::app {

// Makes SIGTERM, SIGINT and SIGHUP wait until WaitForSignal takes them, in this thread and those it creates later, and
// ignores SIGPIPE. Call it before any other thread exists: a thread without the mask would die of the signal.
void BlockSignals();

enum class Signal { kStop, kReload };

// Main thread; returns when one of them arrives.
Signal WaitForSignal();

// Gives SIGTERM and SIGINT their usual effect again: whoever sends a second one is tired of waiting.
void UnblockStopSignals();

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_SIGNALS_H_
