#include "win32/ctrl_events.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

#include "io/console.hpp"
#include "io/files.hpp"
#include "loader/loader.hpp"
#include "thread/guest_call.hpp"
#include "thread/thread.hpp"
#include "win32/native.hpp"
#include "win32/services.hpp"

namespace bobbin::win32 {
namespace {

int g_pipe[2] = {-1, -1};  ///< from the signal handler, which may do nothing else, to the watcher

void on_signal(int signal) {
  const int saved = errno;
  const unsigned char event = signal == SIGINT ? CTRL_C_EVENT : CTRL_BREAK_EVENT;
  (void)!write(g_pipe[1], &event, 1);
  errno = saved;
}

/// Runs on a guest thread.
void ask_handlers(std::uint32_t event) {
  for (void* handler : services().files.console().handlers()) {
    const auto dealt_with = thread::call_guest<abi::BOOL(abi::DWORD)>(handler, event);
    if (!dealt_with || *dealt_with != 0) return;
  }
  services().loader.exit_process(abi::STATUS_CONTROL_C_EXIT);
}

/// A host thread: it only starts guest threads, one for each event.
void* watch(void*) {
  unsigned char event = 0;
  for (;;) {
    const ssize_t got = read(g_pipe[0], &event, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return nullptr;
    auto thread = services().threads.create({.host_routine = [event] { ask_handlers(event); }});
    if (thread) (void)services().threads.start(**thread);
  }
}

void start_watching() {
  if (pipe2(g_pipe, O_CLOEXEC) != 0) return;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 * 1024);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t watcher{};
  const int code = pthread_create(&watcher, &attributes, watch, nullptr);
  pthread_attr_destroy(&attributes);
  if (code != 0) {
    close(g_pipe[0]);
    close(g_pipe[1]);
    g_pipe[0] = g_pipe[1] = -1;
  }
}

}  // namespace

void deliver_ctrl_events() {
  static std::once_flag once;
  std::call_once(once, start_watching);
  if (g_pipe[1] < 0) return;  // Ctrl-C then ends the program, as it does by default
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGQUIT, &action, nullptr);
}

}  // namespace bobbin::win32
