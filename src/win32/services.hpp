// What natives work with: the rooms below, as the runtime has put them together. One Runtime at a time, so
// one set of services; natives have no other way to reach state.
#pragma once

#include <memory>
#include <vector>

namespace bobbin::sync {
class HandleTable;
}
namespace bobbin::memory {
class AddressSpace;
class Heaps;
}  // namespace bobbin::memory
namespace bobbin::io {
class Files;
}
namespace bobbin::process {
class Process;
class ThreadPool;
}  // namespace bobbin::process
namespace bobbin::loader {
class Loader;
}
namespace bobbin::thread {
class Threads;
}
namespace bobbin::nls {
class Locale;
}
namespace bobbin::tls {
class Engine;
}

namespace bobbin::win32 {

struct Services {
  sync::HandleTable& handles;
  memory::AddressSpace& memory;
  memory::Heaps& heaps;
  io::Files& files;
  process::Process& process;
  thread::Threads& threads;
  loader::Loader& loader;
  tls::Engine& tls;
  /// Made when a guest first asks for it, and those that it made itself (win32/pool.hpp).
  std::shared_ptr<process::ThreadPool> thread_pool{};
  std::vector<std::weak_ptr<process::ThreadPool>> other_pools{};
};

/// Valid from the first guest instruction to the last.
[[nodiscard]] inline Services& services();
void install(Services* services) noexcept;

namespace detail {
extern Services* g_services;
}
inline Services& services() { return *detail::g_services; }

}  // namespace bobbin::win32
