#include "os/system.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace bobbin::os {
namespace {

/// Numbers of the processors that we may use.
std::vector<unsigned> usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<unsigned> found;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (unsigned i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &set)) found.push_back(i);
    }
  }
  if (found.empty()) found.push_back(0);
  return found;
}

/// Which processors share this one's core, in the host's words ("0,4" or "0-1"); empty if it does not say.
std::string siblings(unsigned processor) {
  std::string path = "/sys/devices/system/cpu/cpu";
  path.append(std::to_string(processor)).append("/topology/thread_siblings_list");
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The value of a line such as `MemTotal:  123 kB` of a file of /proc, in bytes; 0 if there is none.
std::uint64_t proc_value(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    std::uint64_t kilobytes = 0;
    std::istringstream(line.substr(key.size())) >> kilobytes;
    return kilobytes * 1024;
  }
  return 0;
}

}  // namespace

unsigned processor_count() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(CPU_COUNT(&set), 1));
}

std::vector<std::uint64_t> cores() {
  const std::vector<unsigned> processors = usable_processors();
  std::vector<std::string> names;
  std::vector<std::uint64_t> masks;
  for (std::size_t i = 0; i < std::min<std::size_t>(processors.size(), 64); ++i) {
    std::string name = siblings(processors[i]);
    if (name.empty()) name = std::to_string(processors[i]);
    const auto known = std::ranges::find(names, name);
    if (known == names.end()) masks.push_back(0);
    masks[static_cast<std::size_t>(known - names.begin())] |= std::uint64_t{1} << i;
    if (known == names.end()) names.push_back(std::move(name));
  }
  return masks;
}

MemoryStatus memory_status() {
  return {.physical = proc_value("/proc/meminfo", "MemTotal:"),
          .physical_free = proc_value("/proc/meminfo", "MemAvailable:"),
          .swap = proc_value("/proc/meminfo", "SwapTotal:"),
          .swap_free = proc_value("/proc/meminfo", "SwapFree:"),
          .address_space_used = proc_value("/proc/self/status", "VmSize:")};
}

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0 || name[0] == 0) return "localhost";
  const std::string whole = name;
  return whole.substr(0, whole.find('.'));
}

}  // namespace bobbin::os
