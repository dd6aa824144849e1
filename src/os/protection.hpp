// Protections as mmap and mprotect take them; for every implementation of os.hpp on a POSIX host.
#pragma once

#include <sys/mman.h>

#include "os/os.hpp"

namespace bobbin::os {

[[nodiscard]] inline int host_protection(Protection protection) {
  switch (protection) {
    case Protection::none:
      return PROT_NONE;
    case Protection::read:
      return PROT_READ;
    case Protection::read_write:
      return PROT_READ | PROT_WRITE;
    case Protection::execute:
      return PROT_EXEC;
    case Protection::read_execute:
      return PROT_READ | PROT_EXEC;
    case Protection::read_write_execute:
      return PROT_READ | PROT_WRITE | PROT_EXEC;
  }
  return PROT_NONE;
}

}  // namespace bobbin::os
