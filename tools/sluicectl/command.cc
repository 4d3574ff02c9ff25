#include "tools/sluicectl/command.h"

#include <algorithm>

#include "config/text.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/run.h"

namespace sluice::ctl {
namespace {

using config::Cat;

constexpr size_t kAny = 1000;

std::vector<std::string_view> SplitWords(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t blank = text.find(' ');
    words.push_back(text.substr(0, blank));
    text = blank == std::string_view::npos ? std::string_view() : text.substr(blank + 1);
  }
  return words;
}

// "get vip www" is "get vips www", as people say it.
bool StartsWith(const std::vector<std::string>& words, const std::vector<std::string_view>& prefix) {
  const bool get = prefix[0] == "get";
  const auto same = [get](std::string_view name, const std::string& word) {
    return name == word || (get && name == Cat(word, "s"));
  };
  return words.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), words.begin(), same);
}

std::string FlagText(const FlagSpec& flag) {
  std::string text = flag.letter == 0 ? "    --" : Cat("-", std::string_view(&flag.letter, 1), ", --");
  text += flag.name;
  if (!flag.value_name.empty()) text += Cat(" ", flag.value_name);
  return text;
}

constexpr size_t kFlagWidth = 28;
constexpr size_t kCommandWidth = 38;

// Two columns, the first of `width`.
void AppendRow(const std::string& name, size_t width, std::string_view text, std::string& out) {
  out += Cat("  ", name, std::string(name.size() < width ? width - name.size() : 1, ' '), text, "\n");
}

void AppendFlag(const FlagSpec& flag, std::string& out) {
  AppendRow(FlagText(flag), kFlagWidth, flag.help, out);
  if (flag.name == "server") AppendRow("", kFlagWidth, "else unix:/run/sluice/sluiced.sock", out);
}

}  // namespace

const std::vector<FlagSpec>& Flags() {
  static const std::vector<FlagSpec> flags = {
      {"server", 's', "ADDRESS", "unix:/path or host:port of sluiced's API; default: SLUICE_SERVER,", true},
      {"output", 'o', "FORMAT", "table (default), wide (more columns of VIPs), json or yaml", true},
      {"tls-ca", 0, "FILE", "who signed the server's certificate (SLUICE_TLS_CA)", true},
      {"tls-cert", 0, "FILE", "the client's certificate (SLUICE_TLS_CERT)", true},
      {"tls-key", 0, "FILE", "its key (SLUICE_TLS_KEY)", true},
      {"tls-server-name", 0, "NAME", "in the server's certificate, if not the host's", true},
      {"help", 'h', "", "explain the command", true},
      {"version", 0, "", "print the version", true},
      {"file", 'f', "FILE", "YAML file with `services`; - reads standard input"},
      {"dry-run", 0, "", "only say what would change"},
      {"expect", 0, "VERSION", "refuse if another version of the state is in force"},
      {"version-of", 0, "VERSION", "the state right after this change; default: the one in force"},
      {"limit", 0, "N", "how many changes; default: all that are kept"},
      {"from-oldest", 0, "", "begin with what is remembered"},
      {"resume", 0, "PLACE", "go on where an earlier watch ended"},
      {"wait", 0, "", "until the drain has ended, with a progress bar"},
      {"deadline", 0, "TIME", "90s, 10m, 2h: when it ends with what is left; default: never"},
      {"then", 0, "WHAT", "at the end: stop (default); remove the backends; of the node: exit"},
      {"timeout", 0, "SECONDS", "how long to wait; default: 3600"},
      {"reason", 0, "TEXT", "what is wrong, for those who look"},
      {"weight", 'w', "N", "0 to 1000, 0: no new flows; default: 100"},
      {"port", 'p', "PORT", "where the backend expects packets of VIPs with NAT; default: the VIP's port"},
      {"cookie-id", 0, "ID",
       "what cookies name the backend by; default: the lowest that is free, where a VIP needs one"},
      {"interval", 0, "SECONDS", "between two looks, 1 to 3600; default: 2"},
      {"ecr", 0, "N", "the TCP timestamp that the client's packet echoes, as tcpdump prints it"},
      {"count", 0, "N", "how many screens; default: until q or Ctrl-C, 1 where there is no terminal"},
  };
  return flags;
}

const std::vector<Command>& Commands() {
  static const std::vector<Command> commands = {
      {"status", "", 0, 0, {}, "the instance at a glance", "", RunStatus},
      {"get vips",
       "[NAME...]",
       0,
       kAny,
       {},
       "VIPs and their counters",
       "ACTIVE: backends that take new flows, of all in the pool.",
       RunGetVips},
      {"get pools",
       "[NAME...]",
       0,
       kAny,
       {},
       "pools, their backends, flows and VIPs",
       "ACTIVE: backends that take new flows, of all. SLOTS: of the pool's hash table.",
       RunGetPools},
      {"get backends",
       "[POOL | POOL/NAME]...",
       0,
       kAny,
       {},
       "backends, their state, flows and counters",
       "SLOTS: share of the pool's hash slots, and so of new flows. FLOWS: alive now.\n"
       "STARTED: since the backend was added.",
       RunGetBackends},
      {"get drains", "", 0, 0, {}, "drains on their way, and the last that ended", "", RunGetDrains},
      {"get ports",
       "[NAME...]",
       0,
       kAny,
       {},
       "ports, their links and counters",
       "MISSED, ERRORS, NO BUFFER: packets lost before a worker saw them. EXCEPTION: the\n"
       "interface through which the host's kernel uses the port.",
       RunGetPorts},
      {"get workers",
       "[ID...]",
       0,
       kAny,
       {},
       "workers, how busy they are, their connection tables",
       "BUSY and ASLEEP: share of the time since start. BY TABLE, BY HASH: packets whose\n"
       "backend was known from the connection table, or chosen by the hash.",
       RunGetWorkers},
      {"stats",
       "",
       0,
       0,
       {},
       "all packets by what became of them",
       "Both sums are equal when no packet is on its way; under load they may differ for a\nmoment.",
       RunStats},
      {"top",
       "",
       0,
       0,
       {"interval", "count"},
       "VIPs, backends, workers and drops as they are now",
       "Rates since the last look, the busiest first. On a terminal a screen that renews\n"
       "itself; q ends it.",
       RunTop},
      {"explain",
       "tcp|udp CLIENT:PORT VIP:PORT",
       3,
       3,
       {"ecr"},
       "what becomes of a flow, and why",
       "Asks the workers for the flow's next packet: the VIP it belongs to, what chooses its\n"
       "backend, why not another, and the packet that leaves. With --ecr also what its cookie\n"
       "says, at VIPs that have cookies. Nothing is changed. IPv6: [2001:db8::1]:443.",
       RunExplain},
      {"completion",
       "bash|zsh",
       1,
       1,
       {},
       "print the completion of a shell",
       "bash: source <(sluicectl completion bash). zsh: source <(sluicectl completion zsh),\n"
       "after compinit. The packages install both.",
       RunCompletion},
      {"apply",
       "-f FILE",
       0,
       0,
       {"file", "dry-run", "expect"},
       "make a file's services the desired state",
       "Replaces all services in one step, or changes nothing. Backends that stay keep their\n"
       "connections and an operator's drain, unless the file sets `drain`. The file may be\n"
       "sluiced's own: its `node` part is not looked at.",
       RunApply},
      {"diff",
       "-f FILE",
       0,
       0,
       {"file"},
       "what apply -f FILE would change",
       "The objects that change, the share of hash slots that moves, the live flows on backends\n"
       "that go, and whether it fits in memory. Changes nothing. Exit code 4: something differs.",
       RunDiff},
      {"describe",
       "vip|pool|backend NAME",
       2,
       2,
       {},
       "all about one object",
       "A backend's name is POOL/BACKEND.",
       RunDescribe},
      {"history",
       "",
       0,
       0,
       {"limit"},
       "the last changes of the desired state",
       "USER: local came through the Unix socket, others have the name of their certificate;\n"
       "file: a reload; start: the first state.",
       RunHistory},
      {"rollback",
       "VERSION",
       1,
       1,
       {"dry-run", "expect"},
       "make the state after an earlier change the desired one",
       "`sluicectl history` lists them. Drains of operators stay as they are. It is a change of\n"
       "its own, so it can be rolled back too.",
       RunRollback},
      {"export",
       "",
       0,
       0,
       {"version-of"},
       "the desired state as YAML",
       "Without the seed, which no call returns. Ready for apply -f.",
       RunExport},
      {"watch",
       "[PREFIX]",
       0,
       1,
       {"from-oldest", "resume"},
       "events as they happen: changes, health, drains, alarms",
       "PREFIX: only of objects that begin with it (\"backend web/\"). Until Ctrl-C.",
       RunWatch},
      {"drain pool",
       "POOL",
       1,
       1,
       {"wait", "deadline", "then", "timeout"},
       "the same for all backends of a pool",
       "Its VIPs' new connections go to the pool's backup, or by its no_backend.",
       RunDrainPool},
      {"drain node",
       "",
       0,
       0,
       {"wait", "deadline", "then", "timeout"},
       "withdraw this director: its health endpoints say so",
       "What still comes is served. /healthz of metrics.listen says 503, so that a routing\n"
       "daemon or a script withdraws the routes; when nothing came for ten seconds, or at the\n"
       "deadline, the drain is over, and with --then exit sluiced ends. It stays withdrawn\n"
       "until `undrain node`, over restarts too where the state is kept.",
       RunDrainNode},
      {"drain",
       "POOL/BACKEND",
       1,
       1,
       {"wait", "deadline", "then", "timeout"},
       "no new flows for a backend, until it has none",
       "sluiced watches the drain and does at its end what --then says; --wait shows how it\n"
       "goes, and may be ended without harm. Exit code 5: the deadline, or --timeout, came\n"
       "first.",
       RunDrainBackend},
      {"undrain pool", "POOL", 1, 1, {}, "undo the drain of a pool", "", RunUndrainPool},
      {"undrain node", "", 0, 0, {}, "this director serves again", "", RunUndrainNode},
      {"undrain id",
       "ID",
       1,
       1,
       {},
       "undo a drain by its number in get drains",
       "What it drained takes new flows again, also after its end; what drained before it\n"
       "stays so.",
       RunUndrainId},
      {"undrain",
       "POOL/BACKEND",
       1,
       1,
       {},
       "the backend takes new flows again",
       "Whoever drained it. A drain of its pool goes on without it.",
       RunUndrainBackend},
      {"backend add",
       "POOL NAME ADDRESS",
       3,
       3,
       {"weight", "port", "cookie-id"},
       "add a backend to a pool",
       "",
       RunBackendAdd},
      {"backend remove",
       "POOL NAME",
       2,
       2,
       {},
       "remove a backend",
       "Its connections are given to other backends, which do not know them: drain it first\n"
       "and remove it when `sluicectl get backends` shows no FLOWS.",
       RunBackendRemove},
      {"backend weight",
       "POOL NAME WEIGHT",
       3,
       3,
       {},
       "give a backend another weight",
       "0 to 1000; 0: no new flows, old ones finish.",
       RunBackendWeight},
      {"backend drain",
       "POOL NAME",
       2,
       2,
       {},
       "no new flows; old ones finish",
       "Without anybody who watches how it ends: see `drain`.",
       RunBackendDrain},
      {"backend undrain", "POOL NAME", 2, 2, {}, "end a drain", "", RunBackendUndrain},
      {"backend down",
       "POOL NAME",
       2,
       2,
       {"reason"},
       "report that a backend does not work",
       "For people, and for checkers outside of sluiced. It gets no new connections; those it\n"
       "has go by the pool's on_down. Holds until `backend up`, whatever sluiced's own checks\n"
       "find, or until sluiced starts anew.",
       RunBackendDown},
      {"backend up",
       "POOL NAME",
       2,
       2,
       {"reason"},
       "report that a backend works",
       "It is down all the same while sluiced's own checks say so.",
       RunBackendUp},
  };
  return commands;
}

absl::StatusOr<Found> FindCommand(const std::vector<std::string>& words) {
  std::vector<std::string_view> candidates;  // for the first word that fits no command
  size_t matched = 0;
  for (const Command& command : Commands()) {
    const std::vector<std::string_view> names = SplitWords(command.words);
    if (StartsWith(words, names)) return Found{&command, names.size()};
    const size_t common = !words.empty() && words[0] == names[0] ? 1 : 0;
    if (common > matched) {
      matched = common;
      candidates.clear();
    }
    if (common == matched && names.size() > common) candidates.push_back(names[common]);
  }
  if (words.size() == matched) {
    return UsageError(Cat("\"", words[0], "\" needs one of: ", config::JoinWithCommas(candidates)));
  }
  const std::string known = matched == 0 ? "" : Cat(words[0], " ");
  return UsageError(Cat("unknown command \"", known, words[matched], "\"", Suggestion(words[matched], candidates)));
}

absl::Status CheckUse(const Command& command, const ParsedArguments& arguments, size_t operands) {
  for (const auto& [name, value] : arguments.flags) {
    const auto spec = std::find_if(Flags().begin(), Flags().end(), [&](const FlagSpec& f) { return f.name == name; });
    const bool own = std::find(command.flags.begin(), command.flags.end(), name) != command.flags.end();
    if (!spec->global && !own) {
      return UsageError(Cat("`sluicectl ", command.words, "` has no option --", name));
    }
  }
  const std::string use =
      Cat("; use: sluicectl ", command.words, command.operands.empty() ? "" : " ", command.operands);
  if (operands < command.min_operands) return UsageError(Cat("too few arguments", use));
  if (operands > command.max_operands) return UsageError(Cat("too many arguments", use));
  return absl::OkStatus();
}

std::string OverviewHelp() {
  std::string help =
      "Usage: sluicectl [OPTION]... COMMAND [ARGUMENT]...\n\n"
      "Looks at and changes a running sluiced.\n\nCommands:\n";
  for (const Command& command : Commands()) {
    const std::string use = Cat(command.words, command.operands.empty() ? "" : " ", command.operands);
    AppendRow(use, kCommandWidth, command.summary, help);
  }
  help += "\nOptions (anywhere on the line):\n";
  for (const FlagSpec& flag : Flags()) {
    if (flag.global) AppendFlag(flag, help);
  }
  help +=
      "\n`sluicectl COMMAND --help` explains a command.\n\n"
      "Exit codes:\n"
      "  0  done\n"
      "  1  sluiced refused or failed, or a file is invalid; nothing was changed\n"
      "  2  wrong command line\n"
      "  3  sluiced cannot be reached\n"
      "  4  diff: something differs\n"
      "  5  drain --wait: the time is over and flows are left\n";
  return help;
}

std::string CommandHelp(const Command& command) {
  std::string help = Cat("Usage: sluicectl ", command.words, command.operands.empty() ? "" : " ", command.operands,
                         " [OPTION]...\n\n", command.summary, "\n");
  if (!command.help.empty()) help += Cat("\n", command.help, "\n");
  help += "\nOptions:\n";
  for (const FlagSpec& flag : Flags()) {
    const bool own = std::find(command.flags.begin(), command.flags.end(), flag.name) != command.flags.end();
    if (own) AppendFlag(flag, help);
  }
  for (const FlagSpec& flag : Flags()) {
    if (flag.global && flag.name != "version") AppendFlag(flag, help);
  }
  return help;
}

}  // namespace sluice::ctl
