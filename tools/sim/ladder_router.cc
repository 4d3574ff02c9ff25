#include "tools/sim/ladder_router.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "dataplane/base/check.h"
#include "dataplane/fwd/resolve.h"
#include "dataplane/fwd/second_chance.h"
#include "dataplane/fwd/state_builder.h"
#include "dataplane/net/headers.h"
#include "tools/sim/first_tier.h"
#include "tools/sim/random.h"

namespace sluice::sim {
namespace {

constexpr size_t kWorkers = 2;
// Each director has room for this many times all connections: those that ended and those that went to another director
// stay until their timeouts.
constexpr size_t kRoom = 6;
constexpr lb::FlowTimeouts kTimeouts{
    .tcp_syn_s = 30, .tcp_established_s = 700, .tcp_closing_s = 30, .tcp_reset_s = 5, .udp_s = 60};

// Ids of as many servers as directors can have, and two hours: 2^(31 - 13 + 5) ms.
constexpr lb::CookieLayout kLayout = {.key_bits = 1, .backend_bits = 12, .clock_bits = 5};
// The same with as many directors as there can be: 2^(31 - 18 + 10) ms.
constexpr lb::CookieLayout kTieredLayout = {.key_bits = 1, .tier_bits = 6, .backend_bits = 11, .clock_bits = 10};
constexpr lb::AesBlock kCookieSecret = {0x63, 0x6f, 0x6f, 0x6b, 0x69, 0x65};
constexpr uint32_t kServerClock = 123456;

const VipId kVip(0);
const PoolId kPool(0);

struct Words {
  std::string_view consistency, policy;
  bool second_chance = false;
};
Words Split(std::string_view mode) {
  Words words;
  words.second_chance = mode.ends_with(kSecondChanceSuffix);
  if (words.second_chance) mode.remove_suffix(kSecondChanceSuffix.size());
  const size_t colon = mode.find(':');
  words.consistency = mode.substr(0, colon);
  words.policy = colon == std::string_view::npos ? kPolicies[0].first : mode.substr(colon + 1);
  return words;
}

const fwd::SchedulingPolicy* FindPolicy(std::string_view name) {
  for (const auto& [known, policy] : kPolicies) {
    if (name == known) return &policy;
  }
  return nullptr;
}

class Ladder : public Router {
 public:
  explicit Ladder(const LadderOptions& options)
      : options_(options), directors_(options.directors), director_up_(options.directors, false) {
    SLUICE_CHECK(options.definition == kUp || options.definition == kDrain);
    spec_.seed = {0x53, 0x69, 0x6d};
    SLUICE_CHECK(IsLadderMode(options.mode));
    const auto [mode, policy, second_chance] = Split(options.mode);
    spec_.pools.push_back(
        {.id = kPool, .table_size = options.table_size, .members = {}, .policy = *FindPolicy(policy)});
    fwd::VipSpec vip = MakeVip(kVip, kPool);
    vip.entry.timeouts = kTimeouts;
    vip.entry.tracked = mode != "hash";
    vip.entry.unsafe_only = mode == "track_unsafe";
    vip.entry.second_chance = second_chance;
    vip.entry.cookies = mode == "cookie" || mode == "two-tier" || mode == "stateful";
    vip.entry.slots = mode == "stateful";
    vip.entry.cookie_layout = kLayout;
    if (mode == "two-tier") {
      vip.entry.cookie_layout = kTieredLayout;
      first_tier_.emplace(kTieredLayout, kCookieSecret, options.select);
    }
    spec_.cookie_keys[0] = kCookieSecret;
    keys_.Set(0, kCookieSecret);
    spec_.vips.push_back(vip);
  }

  std::string name() const override { return options_.mode; }
  uint8_t definitions() const override { return options_.definition; }

  void SetServers(const std::vector<bool>& up, double now) override {
    spec_.now_s = static_cast<uint32_t>(now);
    if (servers_.empty()) servers_.resize(up.size());
    for (size_t server = 0; server < up.size(); ++server) {
      Server& s = servers_[server];
      if (up[server] == s.up) continue;
      s.up = up[server];
      if (s.up && !s.id.valid()) s.id = TakeId(static_cast<ServerId>(server));
      if (!s.up && options_.definition == kUp && !tracks_unsafe()) {
        // It may be given to another backend when no director has entries of it any more.
        quarantine_.push_back({.id = s.id, .first_generation = generation_ + 1});
        s.id = BackendId();
      }
    }
    Build();
  }

  void SetDirectors(const std::vector<bool>& up, double) override {
    working_.clear();
    for (size_t i = 0; i < up.size(); ++i) {
      if (up[i] != director_up_[i]) {
        if (directors_[i] != nullptr) Retire(*directors_[i]);
        directors_[i] = up[i] ? Start() : nullptr;
      }
      if (up[i]) working_.push_back(directors_[i].get());
    }
    director_up_ = up;
    if (first_tier_) first_tier_->SetDirectors(up);
  }

  Route Open(const Connection& connection, double now) override {
    if (stamps_.size() <= connection.slot) stamps_.resize(connection.slot + 1);
    stamps_[connection.slot].reset();
    const Route route = Give(connection, net::kTcpSyn, now);
    const Route again = Give(connection, net::kTcpAck, now);
    return again.first == route.first ? route : Route{};
  }
  Route Send(const Connection& connection, double now) override { return Give(connection, net::kTcpAck, now); }
  void Close(const Connection& connection, double now) override { Give(connection, net::kTcpFin | net::kTcpAck, now); }

  void Tick(double now) override {
    for (Director* director : working_) director->Sweep(static_cast<uint32_t>(now));
  }

  uint64_t tracked() const override {
    uint64_t sum = retired_tracked_;
    for (const Director* director : working_) sum += director->Inserted();
    return sum;
  }
  uint64_t table_full() const override {
    uint64_t sum = retired_full_;
    for (const Director* director : working_) sum += director->InsertFull();
    return sum;
  }

 private:
  struct Server {
    BackendId id;  // invalid while it is removed
    bool up = false;
  };
  struct Quarantined {
    BackendId id;
    uint64_t first_generation;  // the first one without it
  };

  std::unique_ptr<Director> Start() const {
    auto director =
        std::make_unique<Director>(kWorkers, size_t{options_.connections} * kRoom / kWorkers, options_.select);
    // It has seen nothing of what was before.
    if (state_ != nullptr) director->TakeUp(has_history() ? Make(nullptr) : state_);
    return director;
  }

  void Retire(const Director& director) {
    retired_tracked_ += director.Inserted();
    retired_full_ += director.InsertFull();
  }

  // As the control plane does: an id returns when every worker has swept under a state without its backend.
  BackendId TakeId(ServerId server) {
    BackendId id(static_cast<uint16_t>(server_of_.size()));
    uint64_t swept = working_.empty() ? 0 : UINT64_MAX;
    for (const Director* director : working_) swept = std::min(swept, director->SweptGeneration());
    if (!quarantine_.empty() && swept >= quarantine_.front().first_generation) {
      id = quarantine_.front().id;
      quarantine_.pop_front();
      ++generations_[id.index()];
    } else {
      server_of_.push_back(kNoServer);
      generations_.push_back(0);
    }
    SLUICE_CHECK(id.index() < Director::kMaxBackends);
    server_of_[id.index()] = server;
    return id;
  }

  // Whether a state depends on those before it.
  bool has_history() const { return tracks_unsafe() || spec_.vips[0].entry.second_chance; }
  bool tracks_unsafe() const { return spec_.vips[0].entry.unsafe_only; }
  // Of servers that are not up, and still there.
  fwd::BackendState StateOfOthers() const {
    return options_.definition == kUp ? fwd::BackendState::kDown : fwd::BackendState::kDraining;
  }

  void Build() {
    spec_.backends.clear();
    std::vector<fwd::PoolTable::Member>& members = spec_.pools[0].members;
    members.clear();
    spec_.pools[0].known.clear();
    for (size_t server = 0; server < servers_.size(); ++server) {
      const Server& s = servers_[server];
      if (!s.id.valid()) continue;
      const uint32_t address = Be32::FromHost(0xc612'0000 + static_cast<uint32_t>(server)).raw();
      spec_.backends.push_back({.id = s.id,
                                .info = {.address = net::IpAddress::FromBytes(
                                             net::Family::kIpv4, reinterpret_cast<const uint8_t*>(&address)),
                                         .generation = generations_[s.id.index()],
                                         .state = s.up ? fwd::BackendState::kActive : StateOfOthers(),
                                         .pool = kPool,
                                         .on_down = fwd::OnDown::kReschedule,
                                         .cookie_id = static_cast<uint16_t>(server)}});
      const fwd::PoolTable::Member member{.backend = s.id, .name = "server-" + std::to_string(server), .weight = 1};
      spec_.pools[0].known.push_back(member);
      if (s.up) members.push_back(member);
    }
    ++generation_;
    state_ = Make(state_.get());
    for (Director* director : working_) director->TakeUp(has_history() ? Make(&director->state()) : state_);
  }

  // The state of this generation.
  std::shared_ptr<const fwd::ForwardingState> Make(const fwd::ForwardingState* previous) const {
    auto state = fwd::BuildState(spec_, generation_, previous);
    SLUICE_CHECK(state.ok());
    fwd::NextHop hop;
    hop.port = PortId(0);
    hop.on_link = hop.resolved = true;
    return fwd::ResolveNextHops(**state, [&hop](const net::IpAddress&) { return hop; });
  }

  Route Give(const Connection& connection, uint8_t flags, double now) {
    // One to one for 48 bits, so that no two connections share a tuple.
    const uint64_t tuple = connection.number * 0x9e37'79b9'7f4b & 0xffff'ffff'ffff;
    std::optional<uint32_t>& stamp = stamps_[connection.slot];
    const bool syn = (flags & net::kTcpSyn) != 0;
    const SimFlow flow = {.client = static_cast<uint32_t>(tuple >> 16),
                          .port = static_cast<uint16_t>(tuple),
                          .timestamps = connection.timestamps,
                          .echo = syn ? std::nullopt : stamp};
    const auto now_s = static_cast<uint32_t>(now);
    const size_t index = first_tier_ ? first_tier_->Send(flow, flags, now_s) : BehindRouter(connection);
    const fwd::Selection selection = directors_[index]->Send(flow, kVip, flags, now_s);
    if (!selection.backend.valid()) return {};
    const ServerId server = server_of_[selection.backend.index()];
    if (syn && connection.timestamps) stamp = StampOf(flow, {static_cast<uint32_t>(index), server}, selection);
    Route route{.first = server};
    const Director& director = *directors_[index];
    const fwd::VipEntry& vip = (*director.state().vips)[kVip.index()];
    if (vip.second_chance && !syn && fwd::MayBeElsewhere(selection.rung)) {
      const BackendId second = fwd::SecondChanceOf(director.state(), vip, director.HashOf(flow), selection.backend);
      if (second.valid()) route.second = server_of_[second.index()];
    }
    return route;
  }

  // The index of the director that the connection's packets come to now.
  size_t BehindRouter(const Connection& connection) const {
    const uint64_t hash = MixBits(connection.number ^ 0x000e'c390'0000'0000);
    const Director* director = working_[(hash >> 32) * working_.size() >> 32];
    const auto found = std::find_if(directors_.begin(), directors_.end(),
                                    [director](const auto& each) { return each.get() == director; });
    return static_cast<size_t>(found - directors_.begin());
  }

  // The timestamp that the server's agent answers the SYN with. Directors have one state here, and so no ids of their
  // own: `names` has that of the one that brought the SYN.
  uint32_t StampOf(const SimFlow& flow, lb::CookieFields names, const fwd::Selection& selection) const {
    const fwd::VipEntry& vip = spec_.vips[0].entry;
    if (vip.cookies && !vip.slots) {
      const SimTuple sim(flow);
      if (!first_tier_) names.tier = 0;
      return lb::EncodeTimestamp(vip.cookie_layout, kServerClock,
                                 lb::EncodeCookie(vip.cookie_layout, keys_, 0, sim.tuple, names));
    }
    if (selection.syn_echo == 0) return kServerClock;
    constexpr lb::CookieLayout kSlots = {.key_bits = 0, .backend_bits = lb::SlotTable::kSlotBits};
    return lb::EncodeTimestamp(kSlots, kServerClock, lb::CookieOf(kSlots, selection.syn_echo));
  }

  const LadderOptions options_;
  fwd::StateSpec spec_;
  lb::CookieKeys keys_;
  std::vector<std::optional<uint32_t>> stamps_;  // by Connection::slot: what the client echoes
  std::vector<Server> servers_;
  std::vector<ServerId> server_of_;  // by BackendId
  std::vector<BackendGeneration> generations_;
  std::deque<Quarantined> quarantine_;
  std::shared_ptr<const fwd::ForwardingState> state_;
  uint64_t generation_ = 0;
  std::vector<std::unique_ptr<Director>> directors_;  // null: does not work
  std::vector<bool> director_up_;
  std::vector<Director*> working_;
  std::optional<FirstTier> first_tier_;
  uint64_t retired_tracked_ = 0;
  uint64_t retired_full_ = 0;
};

}  // namespace

bool IsLadderMode(std::string_view text) {
  const auto [mode, policy, second_chance] = Split(text);
  if (std::find(kLadderModes.begin(), kLadderModes.end(), mode) == kLadderModes.end()) return false;
  const fwd::SchedulingPolicy* found = FindPolicy(policy);
  return found != nullptr && ((mode != "hash" && mode != "track_unsafe") || *found == fwd::SchedulingPolicy::kMaglev);
}

std::unique_ptr<Router> MakeLadder(const LadderOptions& options) { return std::make_unique<Ladder>(options); }

}  // namespace sluice::sim
