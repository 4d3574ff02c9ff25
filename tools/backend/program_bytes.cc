#include "tools/backend/program_bytes.h"

// SLUICE_BACKEND_OBJECT is the path of the object that clang made. libbpf wants it aligned as an ELF file is.
asm(R"(
  .section .rodata
  .balign 8
  .global program_bytes
program_bytes:
  .incbin ")" SLUICE_BACKEND_OBJECT R"("
  .global program_bytes_end
program_bytes_end:
  .byte 0
  .previous
)");
