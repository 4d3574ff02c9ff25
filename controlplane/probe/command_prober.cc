#include "controlplane/probe/command_prober.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "controlplane/model/text.h"

namespace sluice::probe {
namespace {

using health::ProbeId;
using health::ProbeResult;
using model::Cat;
using Kind = ProbeResult::Kind;

constexpr size_t kOutputBytes = 4096;
constexpr size_t kReasonBytes = 200;

std::vector<std::string> EnvironmentOf(const health::CheckTarget& target, const Way& way) {
  return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          Cat("SLUICE_ADDRESS=", target.address.ToString()),
          Cat("SLUICE_PORT=", target.port),
          Cat("SLUICE_BACKEND=", target.backend_address.ToString()),
          Cat("SLUICE_SOURCE_PORT=", way.source_port),
          Cat("SLUICE_INTERFACE=", way.device)};
}

// Zero, or the error.
int Spawn(const std::string& path, std::vector<std::string> environment, int output_fd, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output_fd, STDERR_FILENO);
  // Devices and sockets of this process are none of its business.
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::string name = path;
  std::array<char*, 2> arguments = {name.data(), nullptr};
  std::vector<char*> variables;
  for (std::string& variable : environment) variables.push_back(variable.data());
  variables.push_back(nullptr);
  const int error = posix_spawn(pid, path.c_str(), &actions, &attributes, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

std::string FirstLine(const std::string& output) {
  std::string line = output.substr(0, std::min(output.find('\n'), kReasonBytes));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = ' ';
  }
  return line;
}

}  // namespace

CommandProber::~CommandProber() {
  while (!probes_.empty()) Cancel(probes_.begin()->first);
  for (const auto& [pid_fd, pid] : dying_) {
    waitpid(pid, nullptr, 0);
    loop_.Forget(pid_fd);
    close(pid_fd);
  }
}

void CommandProber::Start(ProbeId id, const health::CheckSpec& spec) {
  absl::StatusOr<Way> way = ways_.Open(spec.target);
  if (!way.ok()) {
    sink_.Done(id, {Kind::kNotMade, std::string(way.status().message())});
    return;
  }
  const std::string path = Cat(directory_, "/", spec.config.command);
  std::array<int, 2> pipe_fds{-1, -1};
  pid_t pid = -1;
  int error = pipe2(pipe_fds.data(), O_CLOEXEC | O_NONBLOCK) == 0 ? 0 : errno;
  if (error == 0) error = Spawn(path, EnvironmentOf(spec.target, *way), pipe_fds[1], &pid);
  if (pipe_fds[1] >= 0) close(pipe_fds[1]);
  if (error != 0) {
    if (pipe_fds[0] >= 0) close(pipe_fds[0]);
    ways_.Close(*way);
    sink_.Done(id, {Kind::kNotMade, Cat("command ", path, ": ", std::strerror(error))});
    return;
  }
  Probe& probe = probes_[id];
  probe = {
      *std::move(way), spec.config.command, pid, static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), pipe_fds[0], ""};
  loop_.Watch(probe.output_fd, EPOLLIN, [this, id](uint32_t) { Read(probes_.at(id)); });
  loop_.Watch(probe.pid_fd, EPOLLIN, [this, id](uint32_t) { Ended(id); });
}

void CommandProber::Read(Probe& probe) {
  std::array<char, 4096> buffer;
  const ssize_t bytes = read(probe.output_fd, buffer.data(), buffer.size());
  if (bytes > 0) {
    // The rest is read and thrown away, so that nobody waits for a full pipe.
    probe.output.append(buffer.data(), std::min(static_cast<size_t>(bytes), kOutputBytes - probe.output.size()));
  } else if (bytes == 0) {
    loop_.Forget(probe.output_fd);
  }
}

void CommandProber::Ended(ProbeId id) {
  Probe probe = std::move(probes_.at(id));
  probes_.erase(id);
  Read(probe);
  // What it left behind in its group. Until the program is waited for, its number is nobody else's.
  kill(-probe.pid, SIGKILL);
  int status = 0;
  waitpid(probe.pid, &status, 0);
  Close(probe);
  loop_.Forget(probe.pid_fd);
  close(probe.pid_fd);
  const std::string said = FirstLine(probe.output);
  const bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  std::string reason = WIFEXITED(status) ? Cat("command ", probe.name, " ended with ", WEXITSTATUS(status))
                                         : Cat("command ", probe.name, " was ended by signal ", WTERMSIG(status));
  if (!said.empty()) reason += Cat(": ", said);
  sink_.Done(id, {passed ? Kind::kPassed : Kind::kFailed, std::move(reason)});
}

void CommandProber::Close(Probe& probe) {
  loop_.Forget(probe.output_fd);
  close(probe.output_fd);
  ways_.Close(probe.way);
}

std::string CommandProber::Cancel(ProbeId id) {
  const auto found = probes_.find(id);
  if (found == probes_.end()) return "";
  Probe probe = std::move(found->second);
  probes_.erase(found);
  kill(-probe.pid, SIGKILL);
  Close(probe);
  dying_[probe.pid_fd] = probe.pid;
  loop_.Watch(probe.pid_fd, EPOLLIN, [this, fd = probe.pid_fd, pid = probe.pid](uint32_t) { Bury(fd, pid); });
  return Cat("command ", probe.name);
}

void CommandProber::Bury(int pid_fd, pid_t pid) {
  waitpid(pid, nullptr, 0);
  loop_.Forget(pid_fd);
  close(pid_fd);
  dying_.erase(pid_fd);
}

}  // namespace sluice::probe
