#include "seh/dispatch.hpp"
#include "seh/handlers.hpp"
#include "seh/scopes.hpp"
#include "seh/shared_data.hpp"
#include "seh/signals.hpp"
#include "unwind/tables.hpp"

namespace bobbin::seh {
namespace {

constinit Host g_host{};

}  // namespace

void install(const Host& host) {
  g_host = host;
  reserve_shared_data();
  install_fault_signals();
  arch::bobbin_exception_steps = {&step_dispatch, &step_scopes};
}

void uninstall() noexcept {
  close_shared_data();
  exception_handlers().clear();
  continue_handlers().clear();
  unhandled_filter() = nullptr;
  unwind::function_tables().clear();
}

const Host& host() noexcept { return g_host; }

}  // namespace bobbin::seh
