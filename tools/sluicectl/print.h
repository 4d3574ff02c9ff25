#ifndef SLUICE_TOOLS_SLUICECTL_PRINT_H_
#define SLUICE_TOOLS_SLUICECTL_PRINT_H_

#include <google/protobuf/message.h>

#include <ostream>

#include "sluice/v1/sluice.pb.h"
#include "tools/sluicectl/command.h"

// Answers for people, and for programs.
namespace sluice::ctl {

// Indented JSON with the field names of the .proto files; fields of value zero are there too. 64-bit integers are
// strings, as the JSON mapping of protobuf has it.
void PrintJson(const google::protobuf::Message& message, std::ostream& out);

// The same as YAML; 64-bit integers are numbers.
void PrintYaml(const google::protobuf::Message& message, std::ostream& out);
// As the command line asks for.
void PrintMessage(const google::protobuf::Message& message, const Invocation& invocation);

void PrintStatus(const v1::GetStatusResponse& status, std::ostream& out);
// `wide`: with the columns that most leave as they are.
void PrintVips(const v1::ListVipsResponse& vips, bool wide, std::ostream& out);
void PrintPools(const v1::ListPoolsResponse& pools, std::ostream& out);
// Wide: with what health checks have found last.
void PrintBackends(const v1::ListBackendsResponse& backends, bool wide, std::ostream& out);
void PrintPorts(const v1::ListPortsResponse& ports, std::ostream& out);
void PrintWorkers(const v1::ListWorkersResponse& workers, std::ostream& out);
// Exact numbers, since their sum is meant to be looked at.
void PrintStats(const v1::PacketTotals& packets, std::ostream& out);

// "192.0.2.11:80", "[2001:db8::11]:1-65535"
std::string EndText(std::string_view address, std::string_view ports);

// "203.0.113.10:80/tcp"
std::string ServiceText(const v1::Vip& vip);
// "full", "off", "cookie, full"
std::string TrackingText(const v1::Vip& vip);
// "tuple", "client-port", "client"
std::string_view HashText(v1::HashInput hash);
std::string_view ModeText(v1::ForwardingMode mode);
// "192.0.2.11", and with a port "192.0.2.11:8080" or "[2001:db8::11]:8080"
std::string BackendText(const v1::Backend& backend);
// "draining", and where anybody knows its health "active up", "active down".
std::string StateText(const v1::BackendStatus& backend);
// "100"; "100 (45%)" while less than all of it counts.
std::string WeightText(const v1::BackendStatus& backend);
// Of those that use it: "www,www6", or "-".
std::string VipNames(const v1::PoolStatus& pool);
// "via wan 02:00:00:00:00:01", "unresolved on wan", "no route"
std::string NextHopText(const v1::NextHopStatus& next_hop);

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_PRINT_H_
