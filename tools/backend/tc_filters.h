#ifndef SLUICE_TOOLS_BACKEND_TC_FILTERS_H_
#define SLUICE_TOOLS_BACKEND_TC_FILTERS_H_

namespace sluice::backend {

// Whether anybody has a filter at the interface's clsact qdisc, in either direction. True too when the kernel does not
// say: the qdisc then stays.
bool HasTcFilters(int interface_index);

// Whether the interface has a clsact (or ingress) qdisc.
bool HasClsact(int interface_index);

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_TC_FILTERS_H_
