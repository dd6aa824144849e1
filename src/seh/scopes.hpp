#pragma once

#include "arch/x86_64/exception.hpp"

namespace bobbin::seh {

/// The next step of a __C_specific_handler.
BOBBIN_MS_ABI arch::ScopeAction step_scopes(arch::ScopeCall* call);

}  // namespace bobbin::seh
