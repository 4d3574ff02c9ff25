#ifndef SLUICE_TOOLS_SLUICECTL_COMPLETE_H_
#define SLUICE_TOOLS_SLUICECTL_COMPLETE_H_

#include <functional>
#include <string>
#include <vector>

#include "tools/sluicectl/arguments.h"
#include "tools/sluicectl/tls_files.h"

// What a shell may put where the cursor is.
namespace sluice::ctl {

// The command that the shells' completion runs; not for people, so not in the help.
inline constexpr const char* kCompleteCommand = "__complete";
// Stands among the answers where a file's name fits.
inline constexpr const char* kFilesFit = ":files";

enum class NameKind { kVips, kVipServices, kPools, kBackendsOfPool, kBackends, kPoolsAndBackends, kPorts, kWorkers };

// Names of objects. `pool` only with kBackendsOfPool. No names when sluiced cannot be asked: a completion does not
// complain.
using NameSource =
    std::function<std::vector<std::string>(const ParsedArguments& parsed, NameKind kind, const std::string& pool)>;
std::vector<std::string> NamesAt(const std::string& server, const TlsFiles& tls, NameKind kind,
                                 const std::string& pool);

// `line`: the words after "sluicectl" up to the cursor; the last one is the one to complete, and may be empty. Sorted.
std::vector<std::string> Complete(const std::vector<std::string>& line, const NameSource& names);

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_COMPLETE_H_
