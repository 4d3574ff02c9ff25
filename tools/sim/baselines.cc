#include "tools/sim/baselines.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "tools/sim/random.h"

namespace sluice::sim {
namespace {

constexpr uint64_t kRows = 65537;

uint64_t HashOf(const Connection& connection) { return MixBits(connection.number ^ 0x51a1'ce5e'ed0f'0001); }

class ModN : public Router {
 public:
  std::string name() const override { return "mod-n"; }
  void SetServers(const std::vector<bool>& up, double) override {
    alive_.clear();
    for (size_t server = 0; server < up.size(); ++server) {
      if (up[server]) alive_.push_back(static_cast<ServerId>(server));
    }
  }
  Route Open(const Connection& connection, double now) override { return Send(connection, now); }
  Route Send(const Connection& connection, double) override {
    return {.first = alive_[HashOf(connection) % alive_.size()]};
  }

 private:
  std::vector<ServerId> alive_;
};

// A table of rows with an owner each, and the owner before that.
class Rows : public Router {
 public:
  Rows(std::string name, bool second_chance) : name_(std::move(name)), second_chance_(second_chance) {}

  std::string name() const override { return second_chance_ ? name_ + "+second-chance" : name_; }
  void SetServers(const std::vector<bool>& up, double) override {
    std::vector<ServerId> owners = Assign(up);
    if (previous_.empty()) previous_ = owners;
    for (size_t row = 0; row < owners_.size(); ++row) {
      if (owners[row] != owners_[row]) previous_[row] = owners_[row];
    }
    owners_ = std::move(owners);
  }
  Route Open(const Connection& connection, double now) override { return {.first = Send(connection, now).first}; }
  Route Send(const Connection& connection, double) override {
    const size_t row = HashOf(connection) % kRows;
    return {.first = owners_[row], .second = second_chance_ ? previous_[row] : kNoServer};
  }

 protected:
  virtual std::vector<ServerId> Assign(const std::vector<bool>& up) = 0;
  const std::vector<ServerId>& owners() const { return owners_; }

 private:
  const std::string name_;
  const bool second_chance_;
  std::vector<ServerId> owners_;
  std::vector<ServerId> previous_;
};

class PlainMaglev : public Rows {
 public:
  explicit PlainMaglev(bool second_chance) : Rows("maglev", second_chance) {}

 private:
  std::vector<ServerId> Assign(const std::vector<bool>& up) override {
    std::vector<ServerId> owners(kRows, kNoServer);
    // How far each server is in its list of preferences, which is an arithmetic sequence modulo a prime.
    std::vector<uint64_t> wish(up.size());
    std::vector<uint64_t> step(up.size());
    for (size_t server = 0; server < up.size(); ++server) {
      wish[server] = MixBits(server * 2 + 1) % kRows;
      step[server] = MixBits(server * 2 + (uint64_t{1} << 40)) % (kRows - 1) + 1;
    }
    for (size_t left = kRows; left > 0;) {
      for (size_t server = 0; server < up.size() && left > 0; ++server) {
        if (!up[server]) continue;
        while (owners[wish[server]] != kNoServer) wish[server] = (wish[server] + step[server]) % kRows;
        owners[wish[server]] = static_cast<ServerId>(server);
        --left;
      }
    }
    return owners;
  }
};

class Rendezvous : public Rows {
 public:
  explicit Rendezvous(bool second_chance) : Rows("rendezvous", second_chance) {}

 private:
  static uint64_t Score(size_t row, size_t server) { return MixBits(row << 20 ^ MixBits(server)); }

  static ServerId Winner(size_t row, const std::vector<bool>& up) {
    uint64_t best = 0;
    ServerId winner = kNoServer;
    for (size_t server = 0; server < up.size(); ++server) {
      if (!up[server]) continue;
      const uint64_t score = Score(row, server);
      if (winner != kNoServer && score <= best) continue;
      best = score;
      winner = static_cast<ServerId>(server);
    }
    return winner;
  }

  // Only rows that a server left or that a new one wins can change.
  std::vector<ServerId> Assign(const std::vector<bool>& up) override {
    std::vector<ServerId> result = owners();
    result.resize(kRows, kNoServer);
    up_.resize(up.size(), false);
    std::vector<ServerId> came;
    for (size_t server = 0; server < up.size(); ++server) {
      if (up[server] && !up_[server]) came.push_back(static_cast<ServerId>(server));
    }
    for (size_t row = 0; row < kRows; ++row) {
      ServerId& owner = result[row];
      if (owner == kNoServer || !up[owner]) {
        owner = Winner(row, up);
        continue;
      }
      for (const ServerId server : came) {
        if (Score(row, server) > Score(row, owner)) owner = server;
      }
    }
    up_ = up;
    return result;
  }

  std::vector<bool> up_;
};

}  // namespace

std::unique_ptr<Router> MakeModN() { return std::make_unique<ModN>(); }
std::unique_ptr<Router> MakePlainMaglev(bool second_chance) { return std::make_unique<PlainMaglev>(second_chance); }
std::unique_ptr<Router> MakeRendezvous(bool second_chance) { return std::make_unique<Rendezvous>(second_chance); }

}  // namespace sluice::sim
