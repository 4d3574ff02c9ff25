#ifndef SLUICE_TOOLS_BACKEND_PROGRAM_H_
#define SLUICE_TOOLS_BACKEND_PROGRAM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/backend/file_descriptor.h"
#include "tools/backend/host.h"
#include "tools/backend/options.h"

struct bpf_object;

namespace sluice::backend {

// Maps that stay when new programs take the place of old ones, so that nothing that was counted or learnt is lost.
inline constexpr const char* kKeptMaps[] = {"counters", "created_clsact", "half_open", "established"};

// The eBPF programs and their maps, loaded into the kernel; they go with this object unless they are attached.
class Program {
 public:
  // `old`: descriptors of the maps of programs that this one is to replace; those of kKeptMaps that have the same
  // layout are taken over. An error has the verifier's words where it refused.
  // `connections`: how many connections with cookies are remembered; 0: none will have one.
  static absl::StatusOr<Program> Load(const std::vector<FileDescriptor>& old, uint32_t connections);

  int ingress() const;
  int egress() const;
  // By a name of bpf/maps.h.
  int map(const char* name) const;

  // Whether this kernel follows a change of the address family by a flag; Linux 6.3 and later does.
  absl::StatusOr<bool> FollowsFamilyChange() const;

  // Writes what the programs are to do into the maps. kFailedPrecondition when it takes another Load. Packets see the
  // old or the new entry of each map; what is in both is not touched.
  absl::Status Fill(const Options& options, const Resolved& resolved) const;

 private:
  struct Close {
    void operator()(bpf_object* object) const;
  };
  Program(bpf_object* object, uint32_t connections) : object_(object), connections_(connections) {}
  absl::Status FillCookies(const CookieOptions& cookies) const;

  std::unique_ptr<bpf_object, Close> object_;
  uint32_t connections_;
};

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_PROGRAM_H_
