// What the machine is: processors, memory, name. Thread-safe; nothing here fails for lack of permission.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bobbin::os {

/// Processors that this process may use.
[[nodiscard]] unsigned processor_count() noexcept;

/// For each core the processors on it, as a mask of their numbers, 0 to 63 (bit n is processor n, counted
/// among those that we may use). A processor of which the host tells nothing is a core of its own.
[[nodiscard]] std::vector<std::uint64_t> cores();

/// In bytes.
struct MemoryStatus {
  std::uint64_t physical = 0;
  std::uint64_t physical_free = 0;  ///< what programs can get without swapping
  std::uint64_t swap = 0;
  std::uint64_t swap_free = 0;
  std::uint64_t address_space_used = 0;  ///< by this process
};
[[nodiscard]] MemoryStatus memory_status();

/// The host's own name, without its domain.
[[nodiscard]] std::string host_name();

}  // namespace bobbin::os
