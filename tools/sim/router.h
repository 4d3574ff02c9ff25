#ifndef SLUICE_TOOLS_SIM_ROUTER_H_
#define SLUICE_TOOLS_SIM_ROUTER_H_

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::sim {

using ServerId = uint16_t;
inline constexpr ServerId kNoServer = UINT16_MAX;

// One client's connection.
struct Connection {
  uint64_t number = 0;  // counts all connections of a run
  uint32_t slot = 0;    // below the number of connections at a time: for what a router keeps of it
  bool timestamps = true;
};

// Where a packet goes. With a second chance, the first server gives what it has no socket for to `second`.
struct Route {
  ServerId first = kNoServer;
  ServerId second = kNoServer;
  constexpr bool Reaches(ServerId server) const { return first == server || second == server; }
};

// When is a connection broken? In either case when a packet goes to another server than the one it began on.
enum Definition : uint8_t {
  kUp = 1,     // while that is up: what goes down takes its connections with it, and they do not count
  kDrain = 2,  // also while that is down, because down means that it drains
};

// What is simulated: something that spreads the connections of clients over servers. All times are seconds since the
// start.
class Router {
 public:
  virtual ~Router() = default;
  virtual std::string name() const = 0;
  // By which definitions its connections can be judged: a bit set.
  virtual uint8_t definitions() const { return kUp | kDrain; }

  // All servers, changed or not; at least one is up. The first call comes before all others.
  virtual void SetServers(const std::vector<bool>& up, double now) = 0;
  // Which directors work. One that comes back begins with nothing.
  virtual void SetDirectors(const std::vector<bool>& up, double now) {
    (void)up;
    (void)now;
  }
  virtual Route Open(const Connection& connection, double now) = 0;
  virtual Route Send(const Connection& connection, double now) = 0;
  virtual void Close(const Connection& connection, double now) {
    (void)connection;
    (void)now;
  }
  // Called every few seconds.
  virtual void Tick(double now) { (void)now; }
  // Connections of which a director made an entry, and those for which it had no room.
  virtual uint64_t tracked() const { return 0; }
  virtual uint64_t table_full() const { return 0; }
};

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_ROUTER_H_
