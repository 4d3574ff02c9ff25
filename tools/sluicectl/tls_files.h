#ifndef SLUICE_TOOLS_SLUICECTL_TLS_FILES_H_
#define SLUICE_TOOLS_SLUICECTL_TLS_FILES_H_

#include <string>

namespace sluice::ctl {

// PEM files of a client of the API's TLS port; without a CA the connection is not encrypted.
struct TlsFiles {
  std::string ca;
  std::string certificate;
  std::string key;
  std::string server_name;  // that the server's certificate must have; empty: the host of the address
};

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_TLS_FILES_H_
