// The signal by which a thread is made to look at its requests.
#pragma once

#include <cstdint>

namespace bobbin::thread {

class Thread;

/// current_or_null() for the handler: changes nothing.
[[nodiscard]] Thread* current_in_handler() noexcept;

/// SIGRTMAX - 3; a host must leave it to us.
[[nodiscard]] int stop_signal() noexcept;
/// Installs its handler, once per process.
void install_stop_signal() noexcept;
/// Lets the calling thread receive it, whatever mask its host gave it.
void unblock_stop_signal() noexcept;
/// Sends it to a host thread of this process. False if there is none of that id: in the child of a fork, the
/// parent's threads.
bool send_stop_signal(std::uint32_t host_id) noexcept;

}  // namespace bobbin::thread
