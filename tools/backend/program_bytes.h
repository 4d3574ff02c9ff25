#ifndef SLUICE_TOOLS_BACKEND_PROGRAM_BYTES_H_
#define SLUICE_TOOLS_BACKEND_PROGRAM_BYTES_H_

// The compiled eBPF object, which is part of the binary.
extern "C" {
extern const unsigned char program_bytes[];
extern const unsigned char program_bytes_end[];
}

#endif  // SLUICE_TOOLS_BACKEND_PROGRAM_BYTES_H_
