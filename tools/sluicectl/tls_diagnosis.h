#ifndef SLUICE_TOOLS_SLUICECTL_TLS_DIAGNOSIS_H_
#define SLUICE_TOOLS_SLUICECTL_TLS_DIAGNOSIS_H_

#include <string>

#include "tools/sluicectl/tls_files.h"

namespace sluice::ctl {

struct TlsDiagnosis {
  std::string reason;  // empty: nothing was found
  std::string remedy;
};

// Why no TLS connection to `server` (HOST:PORT) can be made, of which gRPC says nothing: looks at the files, then makes
// a handshake of its own. Takes some seconds at most.
TlsDiagnosis DiagnoseTls(const std::string& server, const TlsFiles& files);

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_TLS_DIAGNOSIS_H_
