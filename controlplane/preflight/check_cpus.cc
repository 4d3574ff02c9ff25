#include <set>

#include "controlplane/preflight/examine.h"
#include "controlplane/preflight/lookup.h"
#include "dataplane/base/cpu_list.h"

namespace sluice::preflight {
namespace {

using model::Cat;

std::string Subject(size_t worker, uint32_t cpu) { return Cat("worker ", worker, " on CPU ", cpu); }

// True when interruptions of a worker are worth a warning: on a physical NIC, or where it was told never to sleep.
bool WantsIsolation(const Demand& demand) { return demand.busy_polling || AnyPci(demand); }

void CheckIsolation(const Demand& demand, const Facts& facts, Findings* out) {
  std::vector<uint32_t> disturbed, ticking;
  for (const uint32_t cpu : demand.worker_cpus) {
    if (!Contains(facts.isolated_cpus, cpu)) {
      disturbed.push_back(cpu);
    } else if (!Contains(facts.nohz_full_cpus, cpu)) {
      ticking.push_back(cpu);
    }
  }
  const std::string all = CpuListText(demand.worker_cpus);
  const std::string remedy = Cat("put \"isolcpus=", all, " nohz_full=", all, " rcu_nocbs=", all, " irqaffinity=",
                                 "CPUS-OF-OTHERS\" on the kernel's command line (/etc/default/grub), run update-grub, "
                                 "reboot");
  if (disturbed.empty() && ticking.empty()) {
    out->push_back({Severity::kOk, "cpu.isolation", Cat("CPU ", all), "isolated, without a periodic tick", ""});
  } else if (!WantsIsolation(demand)) {
    out->push_back({Severity::kOk, "cpu.isolation", Cat("CPU ", all),
                    "not isolated; with virtual devices and idle: adaptive that is as it should be", ""});
  } else if (!disturbed.empty()) {
    out->push_back({Severity::kWarning, "cpu.isolation", Cat("CPU ", CpuListText(disturbed)),
                    "the scheduler gives other processes time on it, and packets wait meanwhile", remedy});
  } else {
    out->push_back({Severity::kWarning, "cpu.isolation", Cat("CPU ", CpuListText(ticking)),
                    "isolated, but the kernel's tick interrupts it hundreds of times a second", remedy});
  }
}

void CheckCore(const Demand& demand, const Facts& facts, size_t worker, Findings* out) {
  const uint32_t id = demand.worker_cpus[worker];
  const Cpu* cpu = FindCpu(facts, id);
  if (cpu == nullptr) return;  // the planner has spoken
  for (size_t other = 0; other < worker; ++other) {
    if (!Contains(cpu->siblings, demand.worker_cpus[other])) continue;
    out->push_back({Severity::kWarning, "cpu.siblings", Subject(worker, id),
                    Cat("shares a core with worker ", other, " (CPU ", demand.worker_cpus[other],
                        "): two threads of one core forward little more than one"),
                    "give workers.cpus one thread of each core: lscpu --extended=CPU,CORE,NODE"});
    return;
  }
  for (const uint32_t sibling : cpu->siblings) {
    if (sibling == id || Contains(facts.isolated_cpus, sibling) || Contains(demand.worker_cpus, sibling)) continue;
    if (!WantsIsolation(demand)) continue;
    out->push_back({Severity::kWarning, "cpu.siblings", Subject(worker, id),
                    Cat("the other thread of its core, CPU ", sibling, ", works for others and takes half of the core"),
                    Cat("echo 0 > /sys/devices/system/cpu/cpu", sibling, "/online, or isolate it as well")});
  }
}

void CheckGovernors(const Demand& demand, const Facts& facts, Findings* out) {
  if (!WantsIsolation(demand)) return;
  std::vector<uint32_t> slow;
  std::string governor;
  for (const uint32_t id : demand.worker_cpus) {
    const Cpu* cpu = FindCpu(facts, id);
    if (cpu == nullptr || cpu->governor.empty() || cpu->governor == "performance") continue;
    slow.push_back(id);
    governor = cpu->governor;
  }
  if (slow.empty()) return;
  const std::string list = CpuListText(slow);
  out->push_back(
      {Severity::kWarning, "cpu.frequency", Cat("CPU ", list),
       Cat("the frequency follows the governor \"", governor, "\", and the first packets after a pause wait"),
       Cat("cpupower --cpu ", list, " frequency-set --governor performance")});
}

void CheckNodes(const Demand& demand, const Facts& facts, Findings* out) {
  std::set<int> nodes;
  for (const Cpu& cpu : facts.cpus) nodes.insert(cpu.node);
  if (nodes.size() < 2) return;
  for (const PortDemand& port : demand.ports) {
    for (size_t i = 0; i < port.devices.size(); ++i) {
      const int node = NodeOf(port.devices[i], facts);
      if (node == kNoNode) continue;
      std::vector<uint32_t> far, near;
      for (size_t worker = 0; worker < demand.worker_cpus.size(); ++worker) {
        if (port.devices.size() > 1 && worker != i) continue;  // a device of another worker
        const Cpu* cpu = FindCpu(facts, demand.worker_cpus[worker]);
        if (cpu != nullptr && cpu->node != node) far.push_back(cpu->id);
      }
      for (const Cpu& cpu : facts.cpus) {
        if (cpu.node == node) near.push_back(cpu.id);
      }
      const std::string subject = Cat("port ", port.name, ": ", port.devices[i].text);
      if (far.empty()) {
        out->push_back({Severity::kOk, "cpu.numa", subject, Cat("on NUMA node ", node, " like its workers"), ""});
      } else {
        out->push_back({Severity::kWarning, "cpu.numa", subject,
                        Cat("it is on NUMA node ", node, ", but CPU ", CpuListText(far),
                            " of its workers is not: every packet crosses the sockets"),
                        Cat("set workers.cpus to some of ", CpuListText(near))});
      }
    }
  }
}

}  // namespace

void CheckCpus(const Demand& demand, const Facts& facts, Findings* out) {
  if (!demand.cpu_problem.empty()) {
    out->push_back({Severity::kError, "cpu.plan", Cat(demand.workers, " worker(s)"), demand.cpu_problem,
                    "change workers.count and workers.cpus; lscpu --extended shows the CPUs"});
    return;
  }
  CheckIsolation(demand, facts, out);
  for (size_t worker = 0; worker < demand.worker_cpus.size(); ++worker) CheckCore(demand, facts, worker, out);
  CheckGovernors(demand, facts, out);
  CheckNodes(demand, facts, out);
  if (demand.worker_cpus.size() >= facts.allowed_cpus.size()) {
    out->push_back({Severity::kWarning, "cpu.control", Cat("CPU ", CpuListText(facts.allowed_cpus)),
                    "every CPU of the process has a worker: packets wait while API, metrics and exception port run",
                    Cat("lower workers.count to ", facts.allowed_cpus.size() > 1 ? facts.allowed_cpus.size() - 1 : 1,
                        ", or give the process more CPUs")});
  }
  if (facts.cpu_flags.count("aes") == 0) {
    out->push_back({Severity::kWarning, "cpu.features", "flow hash",
                    "the CPU has no AES instructions: each packet's hash costs several times as much",
                    "a processor with them (grep -w aes /proc/cpuinfo); to a virtual machine its host must show them"});
  }
}

}  // namespace sluice::preflight
